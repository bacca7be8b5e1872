#include "app/store/forking.h"

namespace app {

namespace {

using Done = std::function<void(vmm::Result<StoredMachine>)>;

void forkMoment(MachineRunner& machine, std::string const& moment, std::string const& name, Done const& done,
    std::function<bool()> const& isWanted)
{
    auto const made = std::make_shared<StoredMachine>();
    auto const what = [made, root = machine.places().libraryRoot, id = machine.id(), moment, name, isWanted](
                          MachineRunner::JobProgress const& progress) -> vmm::Result<> {
        auto const goOn = [&](double part) { return progress(part) && (!isWanted || isWanted()); };
        *made = TRY(MachineStore(root).fork(id, moment, name, goOn));
        return {};
    };
    machine.work("fork", what, [made, done](vmm::Result<> const& outcome) {
        done(outcome ? vmm::Result<StoredMachine>(std::move(*made)) : vmm::fail(outcome.error()));
    });
}

}

void forkMachine(MachineRunner& machine, ForkPoint const& point, std::string const& name, Done done,
    std::function<bool()> const& isWanted)
{
    if (name.empty())
        return done(vmm::fail(vmm::ErrorCode::InvalidArgument, "the new machine needs a name"));
    if (machine.places().libraryRoot.empty())
        return done(vmm::fail(vmm::ErrorCode::Unsupported, "a machine in no library has no forks"));
    if (!point.moment.empty())
        return forkMoment(machine, point.moment, name, done, isWanted);
    vmm::timeline::NewMoment present;
    present.name = point.keptAs;
    machine.keepMoment(std::move(present),
        [&machine, name, done = std::move(done), isWanted](vmm::Result<vmm::timeline::Moment> const& kept) {
            if (kept)
                forkMoment(machine, kept->id, name, done, isWanted);
            else
                done(vmm::fail(kept.error()));
        });
}

}
