#pragma once

#include "vmm/base/error.h"

#include <cassert>
#include <tl/expected.hpp>
#include <utility>

namespace vmm {

/// A value or an Error. Unlike plain tl::expected it may not be dropped silently.
template<typename T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
public:
    using tl::expected<T, Error>::expected;
    Result(tl::expected<T, Error> other) : tl::expected<T, Error>(std::move(other)) { }

    /// Not of a value, unlike tl::expected's, which shows what lies there.
    Error const& error() const&
    {
        assert(!this->has_value());
        return tl::expected<T, Error>::error();
    }
    Error& error() &
    {
        assert(!this->has_value());
        return tl::expected<T, Error>::error();
    }
    Error&& error() &&
    {
        assert(!this->has_value());
        return std::move(tl::expected<T, Error>::error());
    }
};

inline tl::unexpected<Error> fail(Error error)
{
    return tl::unexpected<Error>(std::move(error));
}

inline tl::unexpected<Error> fail(ErrorCode code, std::string detail)
{
    return tl::unexpected<Error>(Error { code, std::move(detail), 0 });
}

inline tl::unexpected<Error> failOs(std::string detail)
{
    return tl::unexpected<Error>(osError(std::move(detail)));
}

/// Says out loud that this one failure changes nothing for the caller.
template<typename T>
void ignore(Result<T> const&)
{
}

/// Moves the value out of a Result that is known to have one.
template<typename T>
T takeValue(Result<T>& result)
{
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

}

/// The value of a Result, or return its Error to our caller: the body stays the happy path.
#define TRY(expression)                                                                                                \
    ({                                                                                                                 \
        auto tryResult_ = (expression);                                                                                \
        if (!tryResult_)                                                                                               \
            return ::vmm::fail(std::move(tryResult_).error());                                                         \
        ::vmm::takeValue(tryResult_);                                                                                  \
    })

/// TRY with what was being done put in front of the error's detail.
#define TRY_WITHIN(what, expression)                                                                                   \
    ({                                                                                                                 \
        auto tryResult_ = (expression);                                                                                \
        if (!tryResult_)                                                                                               \
            return ::vmm::fail(std::move(tryResult_).error().within(what));                                            \
        ::vmm::takeValue(tryResult_);                                                                                  \
    })
