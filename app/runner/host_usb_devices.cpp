#include "app/runner/host_usb_devices.h"

#include "app/usb/usb_rule_store.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <set>
#include <system_error>
#include <thread>

namespace app {

/// Devices go back to the host, each on a thread of its own. Any thread.
class HostUsbDevices::Leaving : public std::enable_shared_from_this<Leaving> {
public:
    struct Device {
        std::string port;
        bool isBack = false;
        std::function<void()> then {}; ///< for the loop
    };
    Leaving(vmm::EventLoop& loop, std::chrono::milliseconds patience) : m_loop(&loop), m_patience(patience) { }

    /// From here on somebody has the device of that port; until it is back.
    void isOut(std::string const& port)
    {
        std::lock_guard const lock(m_mutex);
        m_out.push_back(port);
    }
    void begin(std::shared_ptr<Device> const& device, std::function<void()> giveBack)
    {
        std::unique_lock lock(m_mutex);
        m_onTheWay.push_back(device);
        m_changed.notify_all();
        auto const work = [self = shared_from_this(), device,
                              giveBack = std::make_shared<std::function<void()>>(std::move(giveBack))] {
            std::exchange(*giveBack, {})();
            self->isBack(device);
        };
        lock.unlock();
        try {
            std::thread([work] {
                ::pthread_setname_np(::pthread_self(), "usb give back");
                work();
            }).detach();
        } catch (std::system_error const&) { // there are too many
            work();
        }
        lock.lock();
        if (!m_loop)
            wait(lock);
    }
    void call(Device& device, std::function<void()> then)
    {
        std::lock_guard const lock(m_mutex);
        device.then = std::move(then);
        if (device.isBack)
            tell(device);
    }
    /// To the loop, as long as that is there: a device may outlive it.
    void post(std::function<void()> task)
    {
        std::lock_guard const lock(m_mutex);
        if (m_loop)
            m_loop->post(std::move(task));
    }
    /// Who wants one that is on its way waits for it, as far as that answers; and a moment for one that the machine has
    /// lost, and somebody still holds.
    void waitFor(std::string const& port)
    {
        constexpr std::chrono::milliseconds moment(200);
        auto const isHeld = [&] { return std::ranges::find(m_out, port) != m_out.end(); };
        auto const isOnTheWay
            = [&] { return std::ranges::any_of(m_onTheWay, [&](auto const& one) { return one->port == port; }); };
        std::unique_lock lock(m_mutex);
        m_changed.wait_for(lock, std::min(m_patience, moment), [&] { return m_ends || !isHeld() || isOnTheWay(); });
        m_changed.wait_for(lock, m_patience, [&] { return m_ends || !isOnTheWay(); });
    }
    std::set<std::string> ports()
    {
        std::lock_guard const lock(m_mutex);
        std::set<std::string> all;
        for (auto const& device : m_onTheWay)
            all.insert(device->port);
        return all;
    }
    /// From now on, and until then, there is patience for all of them together.
    void endSoon()
    {
        std::lock_guard const lock(m_mutex);
        m_ends = std::chrono::steady_clock::now() + m_patience;
        m_changed.notify_all();
    }
    /// After that. Waits for those that are on their way, and has no more to do with the loop. How many are left.
    std::size_t end()
    {
        std::unique_lock lock(m_mutex);
        wait(lock);
        for (auto const& device : m_onTheWay)
            tell(*device);
        m_loop = nullptr;
        return m_onTheWay.size();
    }

private:
    void isBack(std::shared_ptr<Device> const& device)
    {
        std::lock_guard const lock(m_mutex);
        std::erase(m_onTheWay, device);
        m_out.erase(std::ranges::find(m_out, device->port));
        device->isBack = true;
        tell(*device);
        m_changed.notify_all();
    }
    // With the lock.
    void tell(Device& device) const
    {
        if (m_loop && device.then)
            m_loop->post(std::exchange(device.then, {}));
    }
    void wait(std::unique_lock<std::mutex>& lock)
    {
        m_changed.wait_until(lock, *m_ends, [this] { return m_onTheWay.empty(); });
    }

    std::mutex m_mutex;
    std::condition_variable m_changed;
    vmm::EventLoop* m_loop; // null at the end
    std::chrono::milliseconds const m_patience;
    std::optional<std::chrono::steady_clock::time_point> m_ends;
    std::vector<std::string> m_out; // their ports
    std::vector<std::shared_ptr<Device>> m_onTheWay;
};

/// Whoever lets go of a device last does not wait until the host has it back; the claim ends after that.
struct HostUsbDevices::GiveBack {
    std::shared_ptr<Leaving> leaving;
    std::shared_ptr<UsbClaim> claim;
    std::shared_ptr<Leaving::Device> device;

    void operator()(vmm::HostUsbDevice* last)
    {
        leaving->begin(device, [last, claim = std::move(claim)]() mutable {
            delete last;
            claim.reset();
        });
    }
};

namespace {

/// As it is now: this host's drivers may have it since it was listed.
void lookAgain(vmm::HostUsb const& usb, HostUsbEntry& entry)
{
    for (auto& device : usb.devices()) {
        if (device.port == entry.device.port && device.address == entry.device.address)
            entry.device = std::move(device);
    }
    entry.uses = usesOf(entry.device);
}

}

HostUsbDevices::HostUsbDevices(vmm::EventLoop& loop, std::string root, Lost lost, std::chrono::milliseconds patience)
    : m_loop(loop),
      m_root(std::move(root)),
      m_lost(std::move(lost)),
      m_leaving(std::make_shared<Leaving>(loop, patience))
{
}

HostUsbDevices::~HostUsbDevices()
{
    m_leaving->endSoon();
    m_self.reset();
    m_waiting.reset(); // a device that was opened meanwhile goes back, too
    m_devices.clear();
    if (auto const left = m_leaving->end(); left != 0)
        vmm::log(vmm::LogLevel::Warning, "usb", "{} USB devices do not answer, and go back to this host later", left);
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
    m_waiting->loop().post(
        [loop = &m_loop, root = m_root, leaving = m_leaving, before = std::move(before), done = std::move(done)] {
            if (before)
                before();
            auto const onTheWay = leaving->ports(); // nobody's any more
            auto looked = lookNow(root);
            for (std::size_t i = 0; looked && i < looked->entries.size(); ++i) {
                auto& entry = looked->entries[i];
                if (!onTheWay.contains(entry.device.port))
                    continue;
                entry.holder.reset();
                lookAgain(*looked->usb, entry);
            }
            loop->post([done, looked = std::move(looked)] { done(looked); });
        });
}

void HostUsbDevices::open(std::string const& which, Allows allows, UsbHolder const& holder, Opened opened)
{
    if (auto const begun = begin(); !begun)
        return opened(vmm::fail(begun.error()));
    std::set<std::string> taken;
    for (auto const& [port, device] : m_devices)
        taken.insert(port);
    auto const open = [this, leaving = m_leaving, self = std::weak_ptr(m_self), which, taken, holder, root = m_root,
                          allows = std::move(allows)]() -> vmm::Result<std::shared_ptr<vmm::HostUsbDevice>> {
        auto looked = TRY(lookNow(root));
        std::vector<vmm::HostUsbInfo> infos;
        for (auto const& entry : looked.entries)
            infos.push_back(entry.device);
        auto const info = TRY(findHostUsb(infos, which));
        if (taken.contains(info.port))
            return vmm::fail(vmm::ErrorCode::AlreadyExists, "the machine has the USB device of port " + info.port);
        auto const name = fmt::format("{} at port {}", usbDeviceName(info), info.port);
        leaving->waitFor(info.port);
        auto claim = std::make_shared<UsbClaim>(TRY_WITHIN(name, UsbClaim::take(info.port, holder)));
        auto& entry = *std::ranges::find(looked.entries, info, &HostUsbEntry::device);
        lookAgain(*looked.usb, entry);
        TRY_WITHIN(name, allows(entry));
        auto const gone = [this, leaving, self, port = info.port] {
            leaving->post([this, self, port] {
                if (!self.expired())
                    m_lost(port);
            });
        };
        auto device = TRY(vmm::HostUsbDevice::open(std::move(looked.usb), entry.device, gone));
        leaving->isOut(info.port);
        return std::shared_ptr<vmm::HostUsbDevice>(device.release(),
            GiveBack { leaving, std::move(claim), std::make_shared<Leaving::Device>(Leaving::Device { info.port }) });
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
    if (give == nullptr)
        return m_loop.post(std::move(done));
    // The machine may be a little later than we are in letting go.
    m_leaving->call(*give->device, std::move(done));
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
