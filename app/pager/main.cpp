#include "app/pager/detached_mount.h"
#include "app/pager/memory_file.h"
#include "vmm/state/reader.h"
#include "vmm/timeline/pager_process.h"

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>

/// chronovisor-pager FOLDER: shows a moment's memory as a file for the program that has started it, and ends with it.
/// What it has of the world is that folder, its connection and /dev/fuse.
namespace {

using namespace vmm;
using namespace vmm::timeline;

Result<PagerRequest> readRequest()
{
    struct stat status { };
    if (::fstat(pagerRequestFile, &status) != 0 || status.st_size > (4 << 20))
        return fail(ErrorCode::InvalidArgument, "there is no request");
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    if (::pread(pagerRequestFile, text.data(), text.size(), 0) != status.st_size)
        return failOs("the request cannot be read");
    auto const json = TRY(state::parseJson(text));
    auto const section = TRY(Section::fromJson(json));
    auto request = TRY(state::load<PagerRequest>(section));
    TRY(checkRoots(request.memory));
    return request;
}

Result<> run(char const* folder)
{
    auto const request = TRY(readRequest());
    auto const file = TRY(pager::MemoryFile::create(folder, request));
    UniqueFd mount;
    std::string place;
    if (auto detached = pager::DetachedMount::create()) {
        mount = std::move(detached->root);
        TRY(file->serve(std::move(detached->connection)));
    } else {
        place = TRY_WITHIN(detached.error().message(), file->serveAtPlace());
    }
    // From here on nothing may be left behind.
    auto told = sendToPager(pagerSocket, PagerMessage::Ready, bytesOf(place), mount.get());
    mount.reset();
    char opened = 0;
    auto const answer = told ? ::recv(pagerSocket, &opened, 1, 0) : 0;
    if (!place.empty())
        detachPagerMount(place);
    while (answer > 0 && ::recv(pagerSocket, &opened, 1, 0) > 0) { }
    return {};
}

}

int main(int argc, char** argv)
{
    struct stat status { };
    if (argc != 2 || ::fstat(pagerSocket, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        std::fprintf(
            stderr, "chronovisor-pager is started by Chronovisor, for a machine that goes back to a moment.\n");
        return 2;
    }
    auto const outcome = run(argv[1]);
    if (!outcome)
        ignore(sendToPager(pagerSocket, PagerMessage::Failed, bytesOf(outcome.error().message())));
    // At once: threads may be in the middle of something, and whoever waits for them gets an error from the kernel.
    std::_Exit(outcome ? 0 : 1);
}
