#pragma once

#include "vmm/base/result.h"

#include <future>
#include <memory>

namespace tests {

/// What somebody answers later, on whatever thread, for who does something else meanwhile.
template<typename T = void, typename Ask>
std::future<vmm::Result<T>> laterAnswerOf(Ask ask)
{
    auto const answered = std::make_shared<std::promise<vmm::Result<T>>>();
    ask([answered](vmm::Result<T> outcome) { answered->set_value(std::move(outcome)); });
    return answered->get_future();
}

/// answerOf([&](auto done) { runner->start(done); }) waits for it, for as long as the test may take.
template<typename T = void, typename Ask>
vmm::Result<T> answerOf(Ask ask)
{
    return laterAnswerOf<T>(std::move(ask)).get();
}

}
