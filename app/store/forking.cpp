#include "app/store/forking.h"

namespace app {

namespace {

using Done = std::function<void(vmm::Result<StoredMachine>)>;

void forkMoment(MachineRunner& machine, std::string const& moment, std::string const& name, Done const& done)
{
    auto const made = std::make_shared<StoredMachine>();
    auto const what = [made, root = machine.places().libraryRoot, id = machine.id(), moment, name](
                          MachineRunner::JobProgress const& progress) -> vmm::Result<> {
        *made = TRY(MachineStore(root).fork(id, moment, name, progress));
        return {};
    };
    machine.work("fork", what, [made, done](vmm::Result<> const& outcome) {
        done(outcome ? vmm::Result<StoredMachine>(std::move(*made)) : vmm::fail(outcome.error()));
    });
}

}

void forkMachine(MachineRunner& machine, ForkPoint const& point, std::string const& name, Done done)
{
    if (name.empty())
        return done(vmm::fail(vmm::ErrorCode::InvalidArgument, "the new machine needs a name"));
    if (machine.places().libraryRoot.empty())
        return done(vmm::fail(vmm::ErrorCode::Unsupported, "a machine in no library has no forks"));
    if (!point.moment.empty())
        return forkMoment(machine, point.moment, name, done);
    vmm::timeline::NewMoment present;
    present.name = point.keptAs;
    machine.keepMoment(
        std::move(present), [&machine, name, done = std::move(done)](vmm::Result<vmm::timeline::Moment> const& kept) {
            if (kept)
                forkMoment(machine, kept->id, name, done);
            else
                done(vmm::fail(kept.error()));
        });
}

}
