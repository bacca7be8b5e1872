#include "vmm/base/error.h"

#include <cerrno>
#include <cstring>

namespace vmm {

std::string_view errorCodeName(ErrorCode code)
{
    switch (code) {
    case ErrorCode::InvalidArgument: return "invalid-argument";
    case ErrorCode::NotFound: return "not-found";
    case ErrorCode::AlreadyExists: return "already-exists";
    case ErrorCode::PermissionDenied: return "permission-denied";
    case ErrorCode::Busy: return "busy";
    case ErrorCode::Unsupported: return "unsupported";
    case ErrorCode::NotNow: return "not-now";
    case ErrorCode::Corrupt: return "corrupt";
    case ErrorCode::VersionTooNew: return "version-too-new";
    case ErrorCode::OutOfMemory: return "out-of-memory";
    case ErrorCode::NoSpace: return "no-space";
    case ErrorCode::IoError: return "io-error";
    case ErrorCode::NoKvm: return "no-kvm";
    case ErrorCode::GuestFault: return "guest-fault";
    case ErrorCode::Cancelled: return "cancelled";
    case ErrorCode::TimedOut: return "timed-out";
    case ErrorCode::Disconnected: return "disconnected";
    case ErrorCode::Internal: return "internal";
    }
    return "internal";
}

std::string Error::message() const
{
    return osError == 0 ? detail : detail + ": " + std::strerror(osError);
}

Error Error::within(std::string_view what) &&
{
    detail = std::string(what) + ": " + detail;
    return std::move(*this);
}

namespace {

ErrorCode codeFor(int osError)
{
    switch (osError) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return ErrorCode::NotFound;
    case EEXIST: return ErrorCode::AlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::PermissionDenied;
    case EBUSY:
    case EAGAIN: return ErrorCode::Busy;
    case ENOMEM: return ErrorCode::OutOfMemory;
    case ENOSPC:
    case EDQUOT: return ErrorCode::NoSpace;
    case EOPNOTSUPP:
    case ENOSYS: return ErrorCode::Unsupported;
    case EINVAL: return ErrorCode::InvalidArgument;
    case ECANCELED: return ErrorCode::Cancelled;
    case ETIMEDOUT: return ErrorCode::TimedOut;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED: return ErrorCode::Disconnected;
    default: return ErrorCode::IoError;
    }
}

}

Error osError(std::string detail, int osError)
{
    return { codeFor(osError), std::move(detail), osError };
}

Error osError(std::string detail)
{
    return osError(std::move(detail), errno);
}

}
