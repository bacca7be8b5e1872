#pragma once

#include "app/sdl/module.h"
#include "vmm/base/event_loop.h"

#include <map>
#include <mutex>
#include <optional>

namespace app {

/// Which pad of the host's plays which gamepad of a machine: the first pad that has none the first gamepad that has
/// none, and so it stays until one of the two goes. A gamepad whose pad goes is let go of: nothing is pressed any more.
class GamepadDealer {
public:
    using Sink = std::function<void(vmm::GamepadState const&)>;
    using Seat = std::uint64_t;

    Seat add(Sink sink);
    void remove(Seat seat);
    bool isEmpty() const { return m_seats.empty(); }
    /// These come first from now on, in this order, and have the pads that the others had.
    void prefer(std::vector<Seat> const& seats);
    /// What it had been told may not have arrived: it is told again.
    void repeat(Seat seat);
    /// The pads as they are now.
    void look(std::vector<HostPad> const& pads);
    std::optional<int> padOf(Seat seat) const;

private:
    struct Player {
        Seat seat;
        Sink sink;
        std::optional<int> pad;
        std::optional<vmm::GamepadState> told;
    };
    void tell(Player& player, vmm::GamepadState const& state) const;
    Player* find(Seat seat);

    std::vector<Player> m_seats;
    Seat m_next = 1;
};

/// This host's gamepads, for all machines of the process. While no machine has a gamepad nothing of it runs, and
/// nothing is open; while the host has no pad it looks for one twice a second. Any thread, and none waits.
class HostGamepads {
public:
    static HostGamepads& ofThisProcess();

    /// A gamepad of a machine, for as long as it is there. The sink is called on SDL's thread.
    class Seat {
    public:
        Seat(HostGamepads& owner, GamepadDealer::Sink sink);
        ~Seat();
        Seat(Seat const&) = delete;
        Seat& operator=(Seat const&) = delete;
        void repeat();
        void rumble(std::uint16_t strong, std::uint16_t weak);

    private:
        friend class HostGamepads;
        HostGamepads& m_owner;
        GamepadDealer::Seat m_seat;
    };
    /// The machine that a person looks at comes first.
    void prefer(std::vector<std::unique_ptr<Seat>> const& seats);

private:
    struct Motors {
        std::uint16_t strong = 0, weak = 0;
        bool operator==(Motors const&) const = default;
    };
    void wake();
    void look();
    void shake(std::vector<HostPad> const& present);

    std::mutex m_mutex; // of the dealer and of what the motors are to do
    GamepadDealer m_dealer;
    std::map<GamepadDealer::Seat, Motors> m_wanted;

    // SDL's thread.
    std::unique_ptr<HostPads> m_pads;
    std::map<int, Motors> m_shaking;
    vmm::EventLoop::Handle m_timer;
    bool m_complained = false;
};

}
