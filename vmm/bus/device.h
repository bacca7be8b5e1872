#pragma once

#include "vmm/state/section.h"

#include <mutex>

namespace vmm {

/// A part of the machine that has state. What the machine calls here it calls on the machine's thread while no vCPU
/// runs and, except for pause(), while nothing of the device is in flight; no lock is needed there. Everything else
/// that touches the state holds mutex(): the bus takes it for each access, timers for each callback.
class Device {
public:
    Device() = default;
    Device(Device const&) = delete;
    Device& operator=(Device const&) = delete;
    virtual ~Device() = default;

    /// Back to how the part comes out of the factory.
    virtual void reset() = 0;

    /// Why it cannot be saved now, or nothing. The answer of a device that has not thought about it is no.
    virtual Result<> canSave() const;
    /// What the guest can observe of it. Changes nothing.
    virtual Section save() const = 0;
    /// All of `section` or nothing of it: on an error the device is as before.
    virtual Result<> load(Section const& section) = 0;

    /// Finish what is in flight and start nothing new; returns when that is so. Called without mutex() held.
    virtual void pause() { }
    /// Serve again, beginning with what the guest may have asked for meanwhile.
    virtual void resume() { }

    std::mutex& mutex() const { return m_mutex; }

private:
    mutable std::mutex m_mutex;
};

/// What answers an address range of a bus. `offset` counts from the start of the range; the data's length is 1, 2, 4
/// or 8, or less where an access reaches over the end of the range. Called with mutex() held.
class BusHandler {
public:
    virtual ~BusHandler() = default;
    virtual void read(std::uint64_t offset, ByteSpan data) = 0;
    virtual void write(std::uint64_t offset, ConstByteSpan data) = 0;
    virtual std::mutex& busMutex() const = 0;
};

/// A device that has one range.
class BusDevice : public Device, public BusHandler {
public:
    std::mutex& busMutex() const override { return mutex(); }
};

/// One of several ranges of a device: a pair of member functions, called under the device's mutex.
template<typename Owner>
class BusWindow final : public BusHandler {
public:
    using Read = void (Owner::*)(std::uint64_t, ByteSpan);
    using Write = void (Owner::*)(std::uint64_t, ConstByteSpan);

    BusWindow(Owner& owner, Read read, Write write) : m_owner(owner), m_read(read), m_write(write) { }
    void read(std::uint64_t offset, ByteSpan data) override { (m_owner.*m_read)(offset, data); }
    void write(std::uint64_t offset, ConstByteSpan data) override { (m_owner.*m_write)(offset, data); }
    std::mutex& busMutex() const override { return m_owner.mutex(); }

private:
    Owner& m_owner;
    Read m_read;
    Write m_write;
};

}
