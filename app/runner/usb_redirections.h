#pragma once

#include "app/runner/usb_peer_address.h"
#include "vmm/base/event_loop.h"
#include "vmm/usb/usb_redir_device.h"

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace app {

/// A USB device of another computer that a machine has, or a place where such devices are waited for.
struct RedirectedUsb {
    std::string id;           ///< "redir1": as long as it is there
    std::string address;      ///< who passes it on; where it is waited for
    bool isListening = false; ///< a place; the rest is empty
    std::string listener;     ///< the id of the place where it came; empty: we have connected
    vmm::UsbRedirInfo device {};
    bool operator==(RedirectedUsb const&) const = default;
};

/// The USB devices of other computers that one machine has. They stay while the machine in memory is exchanged for that
/// of a moment. All on the runner's loop; connecting waits, on a thread beside, and what is connected has a thread of
/// its own.
class UsbRedirections {
public:
    using Device = std::shared_ptr<vmm::UsbRedirDevice>;
    /// Called on the loop.
    struct Events {
        /// One has come to a place where we listen: keep() or refuse() it.
        std::function<void(std::string const& id, Device const& device)> arrived;
        /// One that was kept is gone.
        std::function<void(std::string const& id, vmm::Error const& why)> lost;
    };
    UsbRedirections(vmm::EventLoop& loop, Events events);
    ~UsbRedirections();
    UsbRedirections(UsbRedirections const&) = delete;
    UsbRedirections& operator=(UsbRedirections const&) = delete;

    /// `opened` hears of the device when it can be plugged in: keep() or refuse() it. Cancelled where removeAll() comes
    /// before; not at all when this object is gone.
    using Opened = std::function<void(vmm::Result<std::pair<std::string, Device>>)>;
    void connect(UsbPeerAddress const& address, Opened opened);
    /// Who connects there and has no device yet hears Cancelled; false: nobody does.
    bool callOff(UsbPeerAddress const& address);
    vmm::Result<RedirectedUsb> listen(UsbPeerAddress const& address);

    /// False: it is there no more, for the place where it came was removed.
    bool keep(std::string const& id);
    /// Says so to the other side.
    void refuse(std::string const& id);
    /// The device, or the place with all that came there and is not kept; false: there is none.
    bool remove(std::string const& id);
    /// Also those that are still connecting.
    void removeAll();

    bool isListener(std::string const& id) const { return m_listeners.contains(id); }
    /// Those that are kept.
    std::map<std::string, Device> devices() const;
    std::vector<RedirectedUsb> list() const;

private:
    struct Arrival {
        Device device;
        std::string listener;
        Opened opened; ///< of who waits for it
        bool isOffered = false, isKept = false;
        std::optional<vmm::Error> end {}; ///< gone in between
    };
    /// A connection that is not there yet.
    struct Call {
        UsbPeerAddress address;
        std::shared_ptr<vmm::UniqueFd> cancel;
        Opened opened;
    };
    struct Listener {
        UsbPeerListener listening;
        vmm::EventLoop::Handle accepting; ///< of m_thread
    };
    vmm::Result<> needThreads();
    void add(vmm::UniqueFd socket, std::string const& peer, std::string const& listener, Opened opened);
    void offered(std::string const& id);
    void gone(std::string const& id, vmm::Error const& why);
    std::string nextId() { return "redir" + std::to_string(++m_last); }

    vmm::EventLoop& m_loop;
    Events m_events;
    unsigned m_last = 0;
    unsigned m_lastCall = 0;
    std::map<unsigned, Call> m_calls;
    std::map<std::string, Arrival> m_arrivals;
    std::map<std::string, std::unique_ptr<Listener>> m_listeners;
    std::shared_ptr<int> m_self = std::make_shared<int>(); // what was posted to the loop may come after us
    std::shared_ptr<vmm::LoopThread> m_thread;             // both are made when they are needed
    std::unique_ptr<vmm::LoopThread> m_connecting;
};

}
