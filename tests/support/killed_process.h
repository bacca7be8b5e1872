#pragma once

#include <QElapsedTimer>
#include <QtGlobal>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <random>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace tests {

/// How many microseconds a process may work that does so over and over: it comes to an end once or twice, on a busy
/// host too.
inline unsigned longestOf(std::function<void()> const& work)
{
    QElapsedTimer timer;
    timer.start();
    work();
    return static_cast<unsigned>(std::max<qint64>(10'000, timer.nsecsElapsed() / 1000 * 5 / 2));
}

/// The same for the next one, after one that has come to an end or has not: the host is as busy as it is by then.
inline unsigned longestAfter(unsigned longest, bool hasEnded)
{
    return hasEnded ? longest - longest / 4 : longest + longest / 4;
}

/// A process that works, and is killed at a random instant within `longest` microseconds after it has said that it is
/// ready: all that it has said. `work` has a seed of its own and the descriptor to say its words to; it never returns.
template<typename Word>
std::vector<Word> workAndBeKilled(
    std::mt19937& random, unsigned longest, std::function<void(unsigned seed, int words)> const& work)
{
    std::array<int, 2> pipe {};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        qFatal("no pipe");
    auto const seed = static_cast<unsigned>(random());
    auto const child = ::fork();
    if (child == 0) {
        work(seed, pipe[1]);
        std::abort();
    }
    ::close(pipe[1]);
    std::vector<Word> said;
    Word word {};
    bool works = false;
    while (::read(pipe[0], &word, sizeof word) == sizeof word) {
        said.push_back(word);
        if (word.what == Word::What::Ready && !std::exchange(works, true)) {
            ::usleep(static_cast<useconds_t>(random() % longest));
            ::kill(child, SIGKILL);
        }
    }
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        qFatal("the process ended by itself, with status %d", status);
    return said;
}

}
