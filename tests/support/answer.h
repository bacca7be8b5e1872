#pragma once

#include "tests/support/patience.h"
#include "vmm/base/result.h"

#include <chrono>
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

/// Whether it comes within a minute.
template<typename T>
bool comes(std::future<T> const& what)
{
    return what.wait_for(std::chrono::minutes(1) * patience()) == std::future_status::ready;
}

/// That answer, when it is there. TimedOut: there was none within a minute.
template<typename T>
vmm::Result<T> answered(std::future<vmm::Result<T>>& answer)
{
    if (!comes(answer))
        return vmm::fail(vmm::ErrorCode::TimedOut, "the test has got no answer");
    return answer.get();
}

/// answerOf([&](auto done) { runner->start(done); }) waits for it, as answered() does.
template<typename T = void, typename Ask>
vmm::Result<T> answerOf(Ask ask)
{
    auto answer = laterAnswerOf<T>(std::move(ask));
    return answered(answer);
}

}
