#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vmm {

/// What went wrong, as far as a person's next step depends on it. `ui` has one translated sentence for each.
enum class ErrorCode : std::uint8_t {
    InvalidArgument,  ///< A value is out of its range, or two values contradict each other.
    NotFound,         ///< A file, device or machine that was named does not exist.
    AlreadyExists,    ///< Something of that name is there and may not be replaced.
    PermissionDenied, ///< The host refuses access; rights can be changed by the person.
    Busy,             ///< Somebody else holds it now; trying again later may work.
    Unsupported,      ///< Known by name, and not something this version can do.
    NotNow,           ///< Possible in general, refused in the present state of the machine.
    Corrupt,          ///< A file, image or state does not follow its own format.
    VersionTooNew,    ///< Written by a later version than this one can read.
    OutOfMemory,      ///< The host has no memory for it.
    NoSpace,          ///< The host's file system is full.
    IoError,          ///< Reading or writing failed below us.
    NoKvm,            ///< /dev/kvm is absent or unusable.
    GuestFault,       ///< The guest did something from which it cannot go on.
    Cancelled,        ///< The person stopped it.
    TimedOut,         ///< The other side did not answer.
    Disconnected,     ///< The other side went away.
    Internal,         ///< Our own mistake, reported instead of crashing.
};

std::string_view errorCodeName(ErrorCode code);

/// An error as a value. `detail` is lower-case English with the numbers, for the log and for "show details".
struct Error {
    ErrorCode code = ErrorCode::Internal;
    std::string detail;
    int osError = 0; ///< errno where the host's kernel said no, else 0.

    /// The detail with the host's own words behind it, on one line.
    std::string message() const;
    /// The same error, with what was being done put in front: "opening disk.qcow2: …".
    Error within(std::string_view what) &&;
};

/// The error that `errno` (or `osError`) stands for, with the matching code.
Error osError(std::string detail);
Error osError(std::string detail, int osError);

}
