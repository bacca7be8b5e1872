#include "vmm/base/log.h"

#include <atomic>
#include <cstdio>
#include <ctime>

namespace vmm {

namespace {

constexpr std::string_view levelNames[] = { "trace", "debug", "info", "warning", "error", "off" };

void logToStandardError(LogLevel level, std::string_view area, std::string_view text)
{
    timespec now {};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    auto const line = fmt::format("[{:6}.{:06}] {} {}: {}\n", now.tv_sec, now.tv_nsec / 1000,
        levelNames[static_cast<unsigned>(level)], area, text);
    std::fwrite(line.data(), 1, line.size(), stderr);
}

std::atomic<LogLevel> currentLevel { LogLevel::Warning };
std::atomic<LogSink> currentSink { logToStandardError };

}

void setLogLevel(LogLevel level)
{
    currentLevel.store(level, std::memory_order_relaxed);
}

void setLogSink(LogSink sink)
{
    currentSink.store(sink ? sink : logToStandardError);
}

bool logEnabled(LogLevel level)
{
    return level >= currentLevel.load(std::memory_order_relaxed);
}

void writeLog(LogLevel level, std::string_view area, std::string_view text)
{
    currentSink.load()(level, area, text);
}

}
