#include "app/ctl/verbs.h"

#include <algorithm>
#include <charconv>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <optional>

/// `chronoctl moment prune|policy`: which moments a machine keeps by itself, how long, and within what space.
namespace app::ctl {

namespace {

constexpr std::uint64_t minutesPerHour = 60, minutesPerDay = 24 * minutesPerHour;

auto wrong(std::string const& text)
{
    return vmm::fail(vmm::ErrorCode::InvalidArgument,
        fmt::format("\"{}\" is no tier; one is PERIOD:AGE, as in 1h:1d, and PERIOD can be all", text));
}

/// "90m", "1h", "30d" in minutes; nothing where it is none.
std::optional<std::uint64_t> parseMinutes(std::string_view text)
{
    std::uint64_t count = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    std::string_view const unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (error != std::errc {} || count == 0 || count > 100'000'000)
        return std::nullopt;
    if (unit == "m")
        return count;
    if (unit == "h")
        return count * minutesPerHour;
    return unit == "d" ? std::optional(count * minutesPerDay) : std::nullopt;
}

std::string minutesText(std::uint64_t minutes)
{
    return minutes % minutesPerDay == 0 ? fmt::format("{}d", minutes / minutesPerDay)
        : minutes % minutesPerHour == 0 ? fmt::format("{}h", minutes / minutesPerHour)
                                        : fmt::format("{}m", minutes);
}

std::string tiersText(Json const& tiers)
{
    std::string text;
    for (auto const& tier : tiers) {
        auto const every = tier.value("everyMinutes", std::uint64_t(0));
        text += fmt::format("{}{}:{}", text.empty() ? "" : ",", every == 0 ? "all" : minutesText(every),
            minutesText(tier.value("forHours", std::uint64_t(0)) * minutesPerHour));
    }
    return text.empty() ? "none" : text;
}

std::string budgetText(std::uint64_t bytes)
{
    return bytes == 0 ? "none" : sizeText(bytes);
}

/// What is said of tiers and budget.
vmm::Result<Json> bounds(MomentOptions const& options)
{
    Json params = Json::object();
    if (options.tiers)
        params["tiers"] = TRY(parseTiers(*options.tiers));
    if (options.budget) {
        auto const bytes = *options.budget == "none" ? 0 : TRY(parseSize(*options.budget));
        if (bytes == 0 && *options.budget != "none")
            return vmm::fail(vmm::ErrorCode::InvalidArgument, "a budget is more than nothing; none means any amount");
        params["budgetBytes"] = bytes;
    }
    return params;
}

void printPruned(Json const& answer, bool isDryRun, Output const& output)
{
    for (auto const& gone : answer.value("gone", Json::array())) {
        auto const seconds = static_cast<std::time_t>(gone.value("time", std::uint64_t(0)) / 1'000'000'000u);
        output.text(fmt::format("{:<9} {:%Y-%m-%d %H:%M:%S}  {:<8} {}", gone.value("id", "").substr(0, 8),
            fmt::localtime(seconds), gone.value("why", ""), gone.value("name", "")));
    }
    auto const bytes = [&](char const* name) { return sizeText(answer.value(name, std::uint64_t(0))); };
    output.text(
        fmt::format("{} {}; {} left, {}, of a budget of {}", bytes("freedBytes"), isDryRun ? "would be freed" : "freed",
            bytes("bytesAfter"), disksText(answer), budgetText(answer.value("budgetBytes", std::uint64_t(0)))));
    auto const loose = answer.value("looseBytes", std::uint64_t(0)), over = answer.value("overBytes", std::uint64_t(0));
    if (loose > 0)
        output.text(fmt::format("{} of what disks keep is for no moment any more: it goes when they can let go of it,"
                                " those of a suspended machine when it has run again",
            sizeText(loose)));
    if (over > loose)
        output.text(fmt::format("{} over the budget, which only you can free: what is left was kept by hand, is the"
                                " last of a branch, or is the present; delete some of it, or raise the budget",
            sizeText(over - loose)));
}

}

std::string disksText(Json const& answer)
{
    if (answer.contains("diskUnknown"))
        return "without what disks keep, which is not known (" + answer.value("diskUnknown", "") + ")";
    return sizeText(answer.value("diskBytes", std::uint64_t(0))) + " of it on disks";
}

vmm::Result<Json> parseTiers(std::string const& text)
{
    Json tiers = Json::array();
    std::size_t from = text == "none" ? text.size() + 1 : 0;
    while (from <= text.size()) {
        auto const end = std::min(text.find(',', from), text.size());
        auto const one = text.substr(from, end - from);
        from = end + 1;
        auto const colon = one.find(':');
        if (colon == std::string::npos)
            return wrong(one);
        auto const every = one.substr(0, colon) == "all" ? std::optional<std::uint64_t>(0)
                                                         : parseMinutes(std::string_view(one).substr(0, colon));
        auto const age = parseMinutes(std::string_view(one).substr(colon + 1));
        if (!every || !age || *age % minutesPerHour != 0)
            return wrong(one);
        tiers.push_back({ { "everyMinutes", *every }, { "forHours", *age / minutesPerHour } });
    }
    return tiers;
}

int pruneMoments(MomentOptions const& options, Surroundings& around, Output const& output)
{
    auto params = bounds(options);
    if (!params)
        return output.failed(params.error());
    (*params)["dryRun"] = options.dryRun;
    auto const answer = callOnMachine(options.machine, "moment.prune", std::move(*params), around, output);
    if (!answer)
        return output.failed(answer.error());
    if (output.json)
        output.value(*answer);
    else
        printPruned(*answer, options.dryRun, output);
    return Done;
}

int momentPolicy(MomentOptions const& options, Surroundings& around, Output const& output)
{
    auto params = bounds(options);
    if (!params)
        return output.failed(params.error());
    auto const set = [&](char const* name, std::optional<std::string> const& wanted) {
        if (wanted)
            (*params)[name] = *wanted == "on";
    };
    set("automatic", options.automatic);
    set("beforeChange", options.beforeChange);
    set("onClose", options.onClose);
    if (options.everyMinutes)
        (*params)["everyMinutes"] = *options.everyMinutes;
    auto const answer = callOnMachine(options.machine, "moment.policy", std::move(*params), around, output);
    if (!answer)
        return output.failed(answer.error());
    if (output.json) {
        output.value(*answer);
        return Done;
    }
    auto const flag = [&](char const* name) { return answer->value(name, false) ? "on" : "off"; };
    output.text(fmt::format("automatic      {}", flag("automatic")));
    output.text(fmt::format("every          {} minutes", answer->value("everyMinutes", 0u)));
    output.text(fmt::format("before-change  {}", flag("beforeChange")));
    output.text(fmt::format("on-close       {}", flag("onClose")));
    output.text(fmt::format("tiers          {}", tiersText(answer->value("tiers", Json::array()))));
    output.text(fmt::format("budget         {}", budgetText(answer->value("budgetBytes", std::uint64_t(0)))));
    output.text(fmt::format("used           {}, without what disks keep, which list tells",
        sizeText(answer->value("totalBytes", std::uint64_t(0)))));
    return Done;
}

}
