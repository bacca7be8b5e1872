#pragma once

#include <fmt/format.h>
#include <string_view>

namespace vmm {

enum class LogLevel { Trace, Debug, Info, Warning, Error, Off };

/// Who gets the lines, once they are whole. Called from any thread.
using LogSink = void (*)(LogLevel, std::string_view area, std::string_view text);

void setLogLevel(LogLevel level);
void setLogSink(LogSink sink);
bool logEnabled(LogLevel level);
void writeLog(LogLevel level, std::string_view area, std::string_view text);

/// log(LogLevel::Debug, "uart", "divisor {}", d). Costs one load where the level is off.
template<typename... Arguments>
void log(LogLevel level, std::string_view area, fmt::format_string<Arguments...> text, Arguments&&... arguments)
{
    if (logEnabled(level))
        writeLog(level, area, fmt::format(text, std::forward<Arguments>(arguments)...));
}

/// What a guest does oddly: worth a line when one looks for it, never more.
template<typename... Arguments>
void trace(std::string_view area, fmt::format_string<Arguments...> text, Arguments&&... arguments)
{
    log(LogLevel::Trace, area, text, std::forward<Arguments>(arguments)...);
}

}
