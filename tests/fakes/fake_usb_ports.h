#pragma once

#include "app/runner/usb_ports.h"
#include "tests/support/suite.h"

#include <fmt/format.h>

namespace tests {

/// The USB ports of machines that are but numbers. It belongs to its own loop's thread: see on().
struct FakeUsbPorts {
    app::UsbPorts ports()
    {
        app::UsbPorts made;
        made.loop = [this]() -> vmm::EventLoop& { return thread->loop(); };
        made.machine = [this] { return machine; };
        made.refusal = [] { return vmm::Error { vmm::ErrorCode::NotNow, "there is no machine", 0 }; };
        made.plug = [this](std::string const& id, auto const& device, auto const& done) {
            if (plugging)
                plugging(*device);
            ask('+' + id, failPlug, done);
        };
        made.unplug = [this](std::string const& id, auto const& done) { ask('-' + id, {}, done); };
        return made;
    }
    void on(std::function<void()> const& what) { thread->loop().call(what); }
    /// What waits because `answersLater`.
    void answer()
    {
        for (auto const& one : std::exchange(unanswered, {}))
            one();
    }
    std::string askedSoFar()
    {
        std::string all;
        on([&] { all = asked; });
        return all;
    }

    std::optional<std::uint64_t> machine = 1;
    std::optional<vmm::Error> failPlug;
    std::function<void(vmm::UsbDevice& device)> plugging;
    bool answersLater = false;
    std::string asked; ///< "1+redir2 1-redir2 ": of which machine, and what
    std::vector<std::function<void()>> unanswered;
    std::unique_ptr<vmm::LoopThread> thread = must(vmm::LoopThread::start("usb ports"));

private:
    void ask(std::string const& what, std::optional<vmm::Error> const& error, app::UsbPorts::Completion const& done)
    {
        if (machine)
            asked += fmt::format("{}{} ", *machine, what);
        auto const isRefused = machine ? error : vmm::Error { vmm::ErrorCode::NotNow, "there is no machine", 0 };
        auto const tell = [done, isRefused] { done(isRefused ? vmm::fail(*isRefused) : vmm::Result<>()); };
        answersLater ? unanswered.push_back(tell) : thread->loop().post(tell);
    }
};

}
