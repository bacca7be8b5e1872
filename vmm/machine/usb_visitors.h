#pragma once

#include "vmm/machine/board.h"
#include "vmm/usb/usb_hub.h"
#include "vmm/usb/xhci_controller.h"

#include <functional>
#include <map>
#include <memory>

namespace vmm {

/// The USB devices that the configuration knows nothing of, and where they are plugged in. Each gets a port of its own
/// of a controller's for as long as there are some. Of the two ports of a connector, one can have a USB 3 device and
/// the other one a slower one, which may be the machine's own. The last port for slower ones takes a hub, so that what
/// comes still finds a place behind it. Such a hub is a visitor too: it goes when nothing is on it any more, and no
/// saved state brings it back.
///
/// Threads: the machine's.
class UsbVisitors {
public:
    /// Whether the machine's own devices have a connector, plugged in or not: no visitor comes to any of its ports.
    using IsOwn = std::function<bool(XhciController const& controller, unsigned connector)>;
    explicit UsbVisitors(IsOwn isOwn) : m_isOwn(std::move(isOwn)) { }
    ~UsbVisitors() { clear(); }
    UsbVisitors(UsbVisitors const&) = delete;
    UsbVisitors& operator=(UsbVisitors const&) = delete;

    void add(XhciController& controller) { m_controllers.push_back(&controller); }
    /// NotNow where there is no place left.
    Result<> plug(std::string const& id, std::shared_ptr<UsbDevice> device);
    Result<> unplug(std::string_view id);
    /// All of them, before the controllers go.
    void clear();
    /// Whether one is in that connector, or in the one of its ports that USB 3 devices take, or slower ones.
    bool isIn(XhciController const& controller, unsigned connector) const;
    bool isIn(XhciController& controller, unsigned connector, bool isFast) const
    {
        return isTaken({ &controller, nullptr, connector }, isFast);
    }
    /// Who has to leave so that a device of the machine's own finds such a port.
    std::vector<std::string> inTheWay(bool isFast) const;
    /// With the hubs.
    std::vector<Board::Part> all() const;

private:
    /// A controller's connector (from 0 on), or a hub's port (from 1 on).
    struct Place {
        XhciController* controller;
        UsbHub* hub;
        unsigned number;
        bool operator==(Place const&) const = default;
    };
    struct Visitor {
        std::shared_ptr<UsbDevice> device;
        Place place;
    };
    struct Hub {
        std::string id;
        std::unique_ptr<UsbHub> device;
        Place place;
    };
    bool isTaken(Place const& place, bool isFast) const;
    std::vector<Place> placesFor(bool isFast) const;
    Result<Place> plugHub(Place const& place);
    void removeEmptyHubs();
    static Result<> plugAt(Place const& place, UsbDevice& device);
    static void unplugAt(Place const& place, UsbDevice& device);

    IsOwn m_isOwn;
    std::vector<XhciController*> m_controllers;
    std::map<std::string, Visitor, std::less<>> m_visitors;
    std::vector<Hub> m_hubs; // each is plugged into a controller, or one before it
};

}
