#include "app/runner/host_usb_devices.h"

#include "app/usb/usb_rule_store.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace app {

namespace {

/// Whether the host has a device back, and who wants to know.
class Back {
public:
    /// When it has, at once or on the thread that gave it back.
    void call(std::function<void()> then)
    {
        {
            std::lock_guard const lock(m_mutex);
            if (!m_hasCome) {
                m_then = std::move(then);
                return;
            }
        }
        then();
    }
    void hasCome()
    {
        std::function<void()> then;
        {
            std::lock_guard const lock(m_mutex);
            m_hasCome = true;
            then = std::exchange(m_then, {});
        }
        if (then)
            then();
    }

private:
    std::mutex m_mutex;
    bool m_hasCome = false;
    std::function<void()> m_then;
};

/// Whoever lets go of a device last does not wait until the host has it back; the claim ends after that.
struct GiveBack {
    std::weak_ptr<vmm::LoopThread> waiting;
    std::shared_ptr<UsbClaim> claim;
    std::shared_ptr<Back> back = std::make_shared<Back>();

    void operator()(vmm::HostUsbDevice* last)
    {
        auto end = [claim = std::move(claim), back = back](vmm::HostUsbDevice* ended) mutable {
            delete ended;
            claim.reset();
            back->hasCome();
        };
        std::shared_ptr<vmm::HostUsbDevice> own(last, std::move(end));
        if (auto const thread = waiting.lock())
            thread->loop().post([own = std::move(own)]() mutable { own.reset(); });
    }
};

}

vmm::Result<> HostUsbDevices::begin()
{
    if (!m_waiting)
        m_waiting = TRY(vmm::LoopThread::start("usb devices"));
    return {};
}

vmm::Result<HostUsbDevices::Look> HostUsbDevices::lookNow(std::string const& root)
{
    auto rules = root.empty() ? vmm::Result<UsbRules>() : UsbRuleStore(root).read();
    if (!rules)
        vmm::log(vmm::LogLevel::Warning, "usb", "no rule holds: {}", rules.error().message());
    auto usb = TRY(hostUsb());
    auto entries = listHostUsb(*usb, rules ? *rules : UsbRules {});
    return Look { std::move(usb), std::move(entries) };
}

void HostUsbDevices::look(std::function<void()> before, std::function<void(vmm::Result<Look>)> done)
{
    if (auto const begun = begin(); !begun)
        return done(vmm::fail(begun.error()));
    m_waiting->loop().post([loop = &m_loop, root = m_root, before = std::move(before), done = std::move(done)] {
        if (before)
            before();
        loop->post([done, looked = lookNow(root)] { done(looked); });
    });
}

void HostUsbDevices::open(std::string const& which, Allows allows, UsbHolder const& holder, Opened opened)
{
    if (auto const begun = begin(); !begun)
        return opened(vmm::fail(begun.error()));
    std::set<std::string> taken;
    for (auto const& [port, device] : m_devices)
        taken.insert(port);
    auto const open
        = [this, loop = &m_loop, waiting = std::weak_ptr(m_waiting), self = std::weak_ptr(m_self), which, taken, holder,
              root = m_root, allows = std::move(allows)]() -> vmm::Result<std::shared_ptr<vmm::HostUsbDevice>> {
        auto looked = TRY(lookNow(root));
        std::vector<vmm::HostUsbInfo> infos;
        for (auto const& entry : looked.entries)
            infos.push_back(entry.device);
        auto const info = TRY(findHostUsb(infos, which));
        if (taken.contains(info.port))
            return vmm::fail(vmm::ErrorCode::AlreadyExists, "the machine has the USB device of port " + info.port);
        auto const name = fmt::format("{} at port {}", usbDeviceName(info), info.port);
        auto claim = std::make_shared<UsbClaim>(TRY_WITHIN(name, UsbClaim::take(info.port, holder)));
        TRY_WITHIN(name, allows(*std::ranges::find(looked.entries, info, &HostUsbEntry::device)));
        auto const gone = [this, loop, self, port = info.port] {
            loop->post([this, self, port] {
                if (!self.expired())
                    m_lost(port);
            });
        };
        auto device = TRY(vmm::HostUsbDevice::open(std::move(looked.usb), info, gone));
        return std::shared_ptr<vmm::HostUsbDevice>(device.release(), GiveBack { waiting, std::move(claim) });
    };
    m_waiting->loop().post([loop = &m_loop, open, opened = std::move(opened)] {
        loop->post([opened, device = open()] { opened(device); });
    });
}

void HostUsbDevices::keep(std::shared_ptr<vmm::HostUsbDevice> device)
{
    auto const port = device->info().port;
    m_devices[port] = std::move(device);
}

void HostUsbDevices::giveBack(std::string const& port, std::function<void()> done)
{
    auto const found = m_devices.find(port);
    auto* const give = found == m_devices.end() ? nullptr : std::get_deleter<GiveBack>(found->second);
    auto const isBack = [loop = &m_loop, done = std::move(done)] { loop->post(done); };
    if (give == nullptr)
        return isBack();
    give->back->call(isBack); // the machine may be a little later than we are in letting go
    m_devices.erase(found);
}

void HostUsbDevices::giveBackAll()
{
    m_devices.clear();
}

std::vector<vmm::HostUsbInfo> HostUsbDevices::infos() const
{
    std::vector<vmm::HostUsbInfo> all;
    for (auto const& [port, device] : m_devices)
        all.push_back(device->info());
    return all;
}

}
