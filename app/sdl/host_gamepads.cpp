#include "app/sdl/host_gamepads.h"

#include "app/sdl/host_sdl.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace app {

namespace {

constexpr std::chrono::milliseconds playing { 4 }, waiting { 500 };

}

GamepadDealer::Seat GamepadDealer::add(Sink sink)
{
    m_seats.push_back({ m_next, std::move(sink), {}, {} });
    return m_next++;
}

void GamepadDealer::remove(Seat seat)
{
    std::erase_if(m_seats, [seat](Player const& player) { return player.seat == seat; });
}

GamepadDealer::Player* GamepadDealer::find(Seat seat)
{
    auto const found
        = std::find_if(m_seats.begin(), m_seats.end(), [seat](Player const& player) { return player.seat == seat; });
    return found == m_seats.end() ? nullptr : &*found;
}

std::optional<int> GamepadDealer::padOf(Seat seat) const
{
    auto const* player = const_cast<GamepadDealer*>(this)->find(seat);
    return player ? player->pad : std::nullopt;
}

void GamepadDealer::repeat(Seat seat)
{
    if (auto* const player = find(seat))
        player->told.reset();
}

void GamepadDealer::tell(Player& player, vmm::GamepadState const& state) const
{
    if (player.told == state)
        return;
    player.told = state;
    player.sink(state);
}

void GamepadDealer::prefer(std::vector<Seat> const& seats)
{
    auto const rank
        = [&](Player const& player) { return std::find(seats.begin(), seats.end(), player.seat) - seats.begin(); };
    std::stable_sort(
        m_seats.begin(), m_seats.end(), [&](Player const& a, Player const& b) { return rank(a) < rank(b); });
    std::vector<int> pads;
    for (auto& player : m_seats) {
        if (player.pad)
            pads.push_back(*player.pad);
    }
    std::sort(pads.begin(), pads.end());
    for (std::size_t i = 0; i < m_seats.size(); ++i) {
        auto const pad = i < pads.size() ? std::optional(pads[i]) : std::nullopt;
        if (std::exchange(m_seats[i].pad, pad) != pad && !pad)
            tell(m_seats[i], {});
    }
}

void GamepadDealer::look(std::vector<HostPad> const& pads)
{
    auto const present = [&](int id) {
        return std::find_if(pads.begin(), pads.end(), [id](HostPad const& pad) { return pad.id == id; });
    };
    for (auto& player : m_seats) {
        if (player.pad && present(*player.pad) == pads.end()) {
            player.pad.reset();
            tell(player, {});
        }
    }
    for (auto const& pad : pads) {
        if (std::any_of(m_seats.begin(), m_seats.end(), [&](Player const& player) { return player.pad == pad.id; }))
            continue;
        auto const free
            = std::find_if(m_seats.begin(), m_seats.end(), [](Player const& player) { return !player.pad; });
        if (free != m_seats.end())
            free->pad = pad.id;
    }
    for (auto& player : m_seats)
        tell(player, player.pad ? present(*player.pad)->state : vmm::GamepadState());
}

HostGamepads& HostGamepads::ofThisProcess()
{
    static auto& gamepads = *new HostGamepads; // SDL's thread, which nobody ends, has it
    return gamepads;
}

HostGamepads::Seat::Seat(HostGamepads& owner, GamepadDealer::Sink sink) : m_owner(owner)
{
    {
        std::lock_guard const lock(m_owner.m_mutex);
        m_seat = m_owner.m_dealer.add(std::move(sink));
    }
    m_owner.wake();
}

HostGamepads::Seat::~Seat()
{
    {
        std::lock_guard const lock(m_owner.m_mutex);
        m_owner.m_dealer.remove(m_seat);
        m_owner.m_wanted.erase(m_seat);
    }
    m_owner.wake();
}

void HostGamepads::Seat::repeat()
{
    std::lock_guard const lock(m_owner.m_mutex);
    m_owner.m_dealer.repeat(m_seat);
}

void HostGamepads::Seat::rumble(std::uint16_t strong, std::uint16_t weak)
{
    std::lock_guard const lock(m_owner.m_mutex);
    m_owner.m_wanted[m_seat] = { strong, weak };
}

void HostGamepads::prefer(std::vector<std::unique_ptr<Seat>> const& seats)
{
    std::vector<GamepadDealer::Seat> first;
    for (auto const& seat : seats)
        first.push_back(seat->m_seat);
    std::lock_guard const lock(m_mutex);
    m_dealer.prefer(first);
}

void HostGamepads::wake()
{
    if (auto* const loop = sdlLoop())
        loop->post([this] { look(); });
}

void HostGamepads::look()
{
    m_timer.reset();
    {
        std::lock_guard const lock(m_mutex);
        if (m_dealer.isEmpty()) {
            m_pads.reset();
            m_shaking.clear();
            return;
        }
    }
    if (!m_pads) {
        std::string problem;
        auto const functions = sdlFunctions();
        if (functions)
            m_pads = functions->openPads(problem);
        else
            problem = functions.error().message();
        if (!m_pads) {
            if (!std::exchange(m_complained, true))
                vmm::log(vmm::LogLevel::Warning, "gamepads", "machines get no gamepads of this host: {}", problem);
            return;
        }
    }
    auto const present = m_pads->look();
    {
        std::lock_guard const lock(m_mutex);
        m_dealer.look(present);
    }
    shake(present);
    auto const next = present.empty() ? vmm::Nanoseconds(waiting) : vmm::Nanoseconds(playing);
    m_timer = sdlLoop()->at(vmm::EventLoop::now() + next, [this] { look(); });
}

/// Motors do what the machine wants that has their pad.
void HostGamepads::shake(std::vector<HostPad> const& present)
{
    std::map<int, Motors> wanted;
    for (auto const& pad : present)
        wanted[pad.id] = {};
    {
        std::lock_guard const lock(m_mutex);
        for (auto const& [seat, motors] : m_wanted) {
            if (auto const pad = m_dealer.padOf(seat); pad && wanted.contains(*pad))
                wanted[*pad] = motors;
        }
    }
    for (auto const& [pad, motors] : wanted) {
        if (motors != m_shaking[pad])
            m_pads->rumble(pad, motors.strong, motors.weak);
    }
    m_shaking = std::move(wanted);
}

}
