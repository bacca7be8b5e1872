#pragma once

#include <concepts>

namespace vmm {

/// For std::visit(): a lambda for each case of a variant, or one for several (OneOf). A case that has none does not
/// compile.
template<typename... Lambdas>
struct Cases : Lambdas... {
    using Lambdas::operator()...;
};
template<typename... Lambdas>
Cases(Lambdas...) -> Cases<Lambdas...>;

template<typename T, typename... Types>
concept OneOf = (std::same_as<T, Types> || ...);

}
