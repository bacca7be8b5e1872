#include "app/runner/machine_runner_private.h"
#include "app/runner/picture.h"
#include "vmm/machine/moment_check.h"

/// Moments: keeping the present, going to one, and the timeline of a machine that is on or off.
namespace app {

UnaskedMoments::Calls MachineRunner::Private::unaskedCalls()
{
    UnaskedMoments::Calls calls;
    calls.loop = [this]() -> vmm::EventLoop& { return thread->loop(); };
    calls.present = [this] {
        auto const state = runner.m_state.load();
        bool const isSaved = machine ? savedStateInUse.load() : hasSavedState(runner.m_places.stateDirectory);
        return UnaskedMoments::Present { state, !runner.m_places.timelineFolder.empty(), isSaved, runner.config() };
    };
    calls.measure = [this] { return runner.statistics(); };
    calls.policy = [this]() -> vmm::Result<vmm::timeline::Policy> {
        return timeline ? timeline->policy() : policyOf(runner.m_places.timelineFolder);
    };
    calls.keep = [this](vmm::timeline::NewMoment what, UnaskedMoments::Kept const& kept) {
        keepMoment(keepingCancelled, std::move(what), [this, kept](vmm::Result<vmm::timeline::Moment> const& moment) {
            post([kept, moment] { kept(moment); }, {});
        });
    };
    calls.failed = [this](vmm::Error const& why) { neglect(notice::PastNeglected::What::Moment, why); };
    return calls;
}

vmm::Result<> MachineRunner::Private::openTimeline()
{
    if (timeline)
        return {};
    if (runner.m_places.timelineFolder.empty())
        return vmm::fail(vmm::ErrorCode::Unsupported, "a machine that is in no library has no timeline");
    auto folder = TRY(vmm::timeline::openFolder(runner.m_places.timelineFolder));
    timeline = TRY(vmm::timeline::Timeline::open(std::move(folder), vmm::timeline::Timeline::Access::ReadWrite));
    if (timeline->wasRebuilt())
        neglect(notice::PastNeglected::What::Timeline,
            { vmm::ErrorCode::Corrupt,
                "the timeline's record was damaged, and is made anew: all moments are there, but which of them the "
                "present came from is not known, and nothing is thinned out until there is a policy again",
                0 });
    return {};
}

void MachineRunner::Private::neglect(notice::PastNeglected::What what, vmm::Error const& why)
{
    if (std::exchange(complaint, why.message()) == why.message())
        return;
    vmm::log(vmm::LogLevel::Warning, "runner", "the machine's past: {}", why.message());
    tell(notice::PastNeglected { what, why });
}

void MachineRunner::Private::keepMoment(
    unsigned asked, vmm::timeline::NewMoment what, Kept const& done, Meanwhile meanwhile)
{
    auto const hear = [done](vmm::Result<vmm::timeline::Moment> outcome) {
        if (done)
            done(std::move(outcome));
    };
    if (unasked.isKeepingAutomatically() && what.reason != vmm::timeline::Reason::Automatic) {
        // The machine keeps one at a time.
        return unasked.afterAutomatic(
            [this, asked, what = std::move(what), done, meanwhile] { keepMoment(asked, what, done, meanwhile); });
    }
    if (asked != keepingCancelled) {
        keptBackAt = keepingCancelled;
        return hear(vmm::fail(vmm::ErrorCode::Cancelled, "keeping was cancelled"));
    }
    auto const state = runner.m_state.load();
    if (!machine && (state == SessionState::Off || state == SessionState::Suspended)) {
        auto kept = keepStill(asked, std::move(what));
        letGo();
        tell(notice::KeepingEnded {});
        return hear(std::move(kept));
    }
    if (!machine || (state != SessionState::Running && state != SessionState::Paused))
        return hear(vmm::fail(notNow("keep a moment of", state)));
    if (auto const left = savedStateIsLeft(); !left)
        return hear(vmm::fail(left.error()));
    if (auto const opened = openTimeline(); !opened)
        return hear(vmm::fail(opened.error()));
    if (meanwhile == Meanwhile::StandStill && state == SessionState::Running) {
        standsForGoing = true;
        machine->post(vmm::command::Pause {});
    }
    unsigned const counted = what.reason == vmm::timeline::Reason::Automatic ? 0 : 1;
    keepsAsked += counted;
    machine->post(vmm::command::KeepMoment { timeline, std::move(what), pictureMaker() },
        [this, hear, counted, kept = timeline, upTo = unasked.mark(), mine = generation](vmm::Result<> const& outcome) {
            keepsAsked -= counted;
            post(
                [this, upTo, mine, isKept = outcome.has_value()] {
                    if (isKept && mine == generation)
                        unasked.kept(upTo);
                    if (keepsAsked > 0)
                        return;
                    for (auto const& task : std::exchange(whenStored, {}))
                        task();
                },
                {});
            // Busy: another one is being kept, and goes on.
            if (outcome || outcome.error().code != vmm::ErrorCode::Busy)
                tell(notice::KeepingEnded {});
            hear(outcome ? kept->moment(lastKept) : vmm::fail(outcome.error()));
        });
}

vmm::Result<vmm::timeline::Moment> MachineRunner::Private::keepStill(unsigned asked, vmm::timeline::NewMoment what)
{
    TRY(disks.areLeftAlone());
    TRY(takeLock());
    TRY(openTimeline());
    double told = 0;
    auto const progress = [&](double fraction) {
        if (fraction >= told + 0.01)
            tell(notice::Progress { "keep", told = fraction });
        return asked == keepingCancelled;
    };
    auto const& directory = runner.m_places.stateDirectory;
    if (auto const going = TRY(momentOnTheWay(runner.m_places.timelineFolder)); !going.empty())
        return vmm::fail(vmm::ErrorCode::NotNow, "its disks are on their way to a moment; start it first");
    // Another process may have suspended or resumed it since we last looked.
    auto kept = hasSavedState(directory) ? vmm::Machine::keepSuspended(directory, *timeline, std::move(what), progress)
                                         : vmm::Machine::keepOff(runner.config(), *timeline, std::move(what), progress);
    if (kept)
        tell(notice::MomentKept { kept->id, {} });
    else if (kept.error().code == vmm::ErrorCode::Cancelled)
        keptBackAt = keepingCancelled;
    return kept;
}

std::function<vmm::Bytes()> MachineRunner::Private::pictureMaker()
{
    auto const screen = configs.firstScreen();
    if (!screen)
        return {};
    return [screen]() -> vmm::Bytes {
        vmm::Frame frame;
        screen->refresh(frame);
        screen->forget(frame);
        // A moment is worth more than its picture: it does without one that cannot be made.
        return encodeMomentPicture(std::move(frame)).value_or(vmm::Bytes());
    };
}

void MachineRunner::Private::goTo(unsigned asked, std::string const& moment, Present present, Completion const& done)
{
    auto const state = runner.m_state.load();
    bool const isStill = !machine && (state == SessionState::Off || state == SessionState::Suspended);
    bool const isOn = state == SessionState::Running || state == SessionState::Paused || state == SessionState::Crashed;
    // On its way to a moment it has no present yet that could be lost.
    bool const isOnItsWay = state == SessionState::Suspended && !hasSavedState(runner.m_places.stateDirectory);
    if (!isOn && !isStill)
        return finish(done, vmm::fail(notNow("go to another moment with", state)));
    if (isGoing())
        return finish(done, vmm::fail(vmm::ErrorCode::Busy, "the machine is on its way to a moment already"));
    if (keepsWhatWasAsked())
        return finish(
            done, vmm::fail(vmm::ErrorCode::Busy, "a moment is being kept: wait for that, or cancel it, and then go"));
    auto const ready = [&]() -> vmm::Result<> {
        TRY(disks.areLeftAlone());
        if (present == Present::Keep)
            TRY(savedStateIsLeft());
        TRY(takeLock());
        TRY(openTimeline());
        {
            std::lock_guard const guard(headingMutex);
            heading = moment;
        }
        return checkMoment(moment);
    }();
    auto const refuse = [&](vmm::Error const& error) {
        forgetHeading();
        letGo();
        finish(done, vmm::fail(error));
    };
    if (!ready)
        return refuse(ready.error());
    if (present == Present::Lose || isOnItsWay)
        return goThere(moment, Then::Run, done);
    vmm::timeline::NewMoment now;
    now.reason = vmm::timeline::Reason::BeforeGoing;
    if (isStill) {
        auto const kept = keepStill(asked, now);
        tell(notice::KeepingEnded {});
        return kept ? goThere(moment, Then::Run, left(*kept, WasIn::Files, done))
                    : refuse(vmm::Error(kept.error()).within("the present could not be kept"));
    }
    if (state == SessionState::Crashed) {
        return refuse({ vmm::ErrorCode::NotNow,
            "what a crashed machine is now would be lost, for it cannot be kept; reset it first, or power it off", 0 });
    }
    auto const then = state == SessionState::Running ? Then::Run : Then::StandStill;
    auto const go = [this, moment, done, then, mine = generation](vmm::Result<vmm::timeline::Moment> const& kept) {
        post(
            [this, moment, done, then, mine, kept] {
                if (kept && mine == generation && machine)
                    return goThere(moment, Then::Run, left(*kept, WasIn::Memory, done), Back { kept->id, then });
                stayHere(kept ? notNow("go to another moment with", runner.m_state)
                              : vmm::Error(kept.error()).within("the present could not be kept"),
                    done);
            },
            done);
    };
    // What the guest did after the instant would be in neither of the two moments.
    keepMoment(asked, now, go, Meanwhile::StandStill);
}

MachineRunner::Completion MachineRunner::Private::left(
    vmm::timeline::Moment const& present, WasIn wasIn, Completion const& done)
{
    return [this, id = present.id, reason = present.reason, wasIn, done](vmm::Result<> const& outcome) {
        auto const instead = outcome ? std::string() : whereItIsInstead(id, wasIn);
        if (outcome || !instead.empty())
            tell(notice::PresentLeft { id, reason });
        finish(done, instead.empty() ? outcome : vmm::fail(vmm::Error(outcome.error()).within(instead)));
    };
}

/// Where it is neither there nor as it was. `kept`: the moment that it was.
std::string MachineRunner::Private::whereItIsInstead(std::string const& kept, WasIn wasIn) const
{
    if (machine)
        return {}; // it has come back
    auto const onTheWay = momentOnTheWay(runner.m_places.timelineFolder).value_or("");
    if (onTheWay == kept)
        return "the machine stands still, and its next start goes on where it was";
    if (!onTheWay.empty())
        return "its disks are on their way to the moment, where its next start arrives; what it was is kept as another";
    return wasIn == WasIn::Memory ? "the machine is off, and what it was is kept as a moment" : "";
}

void MachineRunner::Private::stayHere(vmm::Error const& why, Completion const& done)
{
    forgetHeading();
    if (!std::exchange(standsForGoing, false))
        return finish(done, vmm::fail(why));
    machine->post(vmm::command::Resume {}, [this, why, done](vmm::Result<> const&) {
        post([done, why] { finish(done, vmm::fail(why)); }, done); // after what the machine has told of its state
    });
}

bool MachineRunner::Private::isGoing()
{
    std::lock_guard const guard(headingMutex);
    return !heading.empty();
}

void MachineRunner::Private::forgetHeading()
{
    std::lock_guard const guard(headingMutex);
    heading.clear();
}

vmm::Result<> MachineRunner::Private::checkMoment(std::string const& moment)
{
    auto const saved = TRY(vmm::checkMoment(timeline, moment));
    if (saved.config.uuid != runner.id())
        return vmm::fail(vmm::ErrorCode::Corrupt, "the moment is another machine's");
    bool const wasOn = TRY(timeline->moment(moment)).power == vmm::timeline::Power::On;
    return wasOn ? factory.checkHost(saved.header.cpu) : vmm::Result<>();
}

void MachineRunner::Private::goThere(
    std::string const& moment, Then then, Completion const& done, std::optional<Back> const& back)
{
    setState(SessionState::Restoring);
    drop();
    auto const fail = [&](vmm::Error const& error) {
        if (back)
            return comeBack(*back, error, done);
        forgetHeading();
        end(error);
        finish(done, vmm::fail(error));
    };
    auto const known = timeline->moment(moment);
    if (!known)
        return fail(known.error());
    // A saved state is of the disks as they are; it was kept, or may be lost.
    auto const leave = [this] { return dropSavedState(); };
    if (known->power == vmm::timeline::Power::Off) {
        auto const gone = vmm::Machine::goToOff(timeline, moment, leave);
        return gone ? isOffNow(*gone, done) : fail(gone.error());
    }
    auto made = factory.goTo(timeline, moment, listener(), leave);
    if (!made)
        return fail(made.error());
    forgetHeading(); // what it needs of it is held
    goOn(std::move(*made), RunOrigin { known->name, known->reason, known->time }, then, {}, done);
}

/// To what was kept, for nothing has come after it. `why`: what made that necessary.
void MachineRunner::Private::comeBack(Back const& back, vmm::Error const& why, Completion const& done)
{
    auto made = factory.goTo(timeline, back.moment, listener(), [this] { return dropSavedState(); });
    forgetHeading();
    if (made) {
        for (auto const& [id, link] : configs.consoles())
            link->setPast(shownOn(*link)); // which is of that very moment
        return goOn(std::move(*made), {}, back.then, vmm::fail(why), done);
    }
    vmm::log(vmm::LogLevel::Warning, "runner", "the machine cannot go on: {}", made.error().message());
    end(why);
    finish(done, vmm::fail(why));
}

void MachineRunner::Private::goOn(std::unique_ptr<vmm::Machine> made, std::optional<RunOrigin> const& origin, Then then,
    vmm::Result<> const& outcome, Completion const& done)
{
    bringCpu(*made);
    keep(std::move(made), origin);
    hostUsb.machineCameUp([timeline = timeline, moment = timeline->present()] { return hostUsbAt(*timeline, moment); });
    redirectedUsb.machineCameUp();
    if (then == Then::StandStill) {
        setState(SessionState::Paused);
        return finish(done, outcome);
    }
    machine->post(vmm::command::Resume {}, [this, outcome, done, mine = generation](vmm::Result<> resumed) {
        post(
            [this, outcome, done, mine, resumed] {
                if (mine == generation)
                    settle(resumed);
                mendTimeline();
                finish(done, outcome ? resumed : outcome);
            },
            done);
    });
}

void MachineRunner::Private::isOffNow(vmm::VmConfig then, Completion const& done)
{
    forgetHeading();
    auto config = runner.config();
    std::swap(config.name, then.name); // what it is called is no part of its past
    std::swap(config.notes, then.notes);
    configs.setNext(then);
    tell(notice::ConfigChanged { then });
    end();
    finish(done, {});
}

vmm::Result<std::string> momentOnTheWay(std::string const& timelineFolder)
{
    struct stat status { };
    if (timelineFolder.empty() || ::stat(timelineFolder.c_str(), &status) != 0)
        return std::string();
    auto const folder = TRY(vmm::timeline::openFolder(timelineFolder));
    return vmm::timeline::Timeline::goingTo(*folder);
}

vmm::Result<vmm::timeline::Policy> policyOf(std::string const& timelineFolder)
{
    struct stat status { };
    if (timelineFolder.empty() || ::stat(timelineFolder.c_str(), &status) != 0)
        return vmm::timeline::Policy();
    auto const folder = TRY(vmm::timeline::openFolder(timelineFolder));
    return vmm::timeline::Timeline::policy(*folder);
}

vmm::Result<std::string> MachineRunner::Private::onTheWay()
{
    auto going = momentOnTheWay(runner.m_places.timelineFolder);
    if (going || going.error().code == vmm::ErrorCode::VersionTooNew)
        return going;
    TRY(openTimeline()); // which mends it, where that can be
    return timeline->goingTo();
}

vmm::Result<> MachineRunner::Private::arriveWithoutMemory()
{
    if (TRY(onTheWay()).empty())
        return {};
    TRY(openTimeline());
    return vmm::Machine::arriveOff(runner.config(), timeline);
}

void MachineRunner::Private::discardState(Really really, Completion const& done)
{
    // Keeping it takes as long as the memory is large: who asks again meanwhile hears what becomes of that.
    discards.push_back(done);
    if (discards.size() > 1)
        return;
    auto const hear = [this](vmm::Result<> const& outcome) {
        for (auto const& one : std::exchange(discards, {}))
            finish(one, outcome);
    };
    unasked.tryKeeping(vmm::timeline::Reason::BeforeDiscard, [this, hear, really](auto const& kept) {
        if (!isPossible(Action::DiscardState, runner.m_state))
            return hear(vmm::fail(notNow("discard the state of", runner.m_state)));
        if (!kept && kept.error().code == vmm::ErrorCode::Cancelled)
            return hear(vmm::fail(kept.error()));
        // Room can be made, and a disk be connected again, where a damaged state stays damaged.
        if (!kept && really == Really::No
            && (kept.error().code == vmm::ErrorCode::NoSpace || kept.error().code == vmm::ErrorCode::IoError))
            return hear(vmm::fail(vmm::Error(kept.error()).within("it could not be kept as a moment first")));
        auto outcome = takeLock();
        if (outcome)
            outcome = arriveWithoutMemory();
        if (outcome)
            outcome = dropSavedState();
        if (outcome)
            readPasts();
        letGo();
        setState(restingState());
        if (outcome && (!kept || *kept))
            tell(notice::PresentLeft { kept ? (*kept)->id : std::string(), vmm::timeline::Reason::BeforeDiscard });
        hear(outcome);
    });
}

void MachineRunner::Private::withTimeline(std::function<vmm::Result<>()> const& what, Completion const& done)
{
    auto outcome = takeLock();
    if (outcome)
        outcome = openTimeline();
    if (outcome)
        outcome = what();
    unasked.follow(); // its policy may be another one
    letGo();
    finish(done, std::move(outcome));
}

void MachineRunner::Private::workOnTimeline(std::string const& job, TimelineJob const& what, Completion const& done)
{
    auto ready = takeLock();
    if (ready)
        ready = openTimeline();
    if (!ready) {
        letGo();
        return finish(done, ready);
    }
    ++timelineJobs;
    jobs.start(
        LongJobs::Pace::Patient, job,
        [what, open = timeline](JobProgress const& progress) { return what(*open, progress); },
        [this, done](vmm::Result<> const& outcome) {
            --timelineJobs;
            letGo();
            finish(done, outcome);
        });
}

void MachineRunner::keepMoment(vmm::timeline::NewMoment what, Kept const& done)
{
    auto const hearError = [done](vmm::Result<> const& outcome) {
        if (done && !outcome)
            done(vmm::fail(outcome.error()));
    };
    m_private->post([this, asked = m_private->keepingCancelled.load(), done,
                        what = std::move(what)] { m_private->keepMoment(asked, what, done); },
        hearError);
}

void MachineRunner::keepUnasked(vmm::timeline::Reason reason, Completion const& done)
{
    m_private->post([this, reason, done] { m_private->unasked.keep(reason, done); }, done);
}

void MachineRunner::keepBeforeChange(vmm::VmConfig wanted, Completion const& done)
{
    m_private->post([this, wanted = std::move(wanted), done] { m_private->unasked.keepBefore(wanted, done); }, done);
}

void MachineRunner::cancelKeeping(Completion const& done)
{
    auto const mine = ++m_private->keepingCancelled; // of a machine that is not in memory it holds up what is posted
    m_private->post(
        [this, done, mine] {
            // What the machine writes ends too. It may write nothing, where what is cancelled was only waiting.
            bool const wasOneGivenUp = m_private->keptBackAt >= mine;
            m_private->forward({}, "cancel the keeping of a moment of", vmm::command::CancelKeeping {},
                [done, wasOneGivenUp](vmm::Result<> const& outcome) {
                    Private::finish(done, wasOneGivenUp ? vmm::Result<>() : outcome);
                });
        },
        done);
}

void MachineRunner::goTo(std::string moment, Present present, Completion const& done)
{
    m_private->post([this, asked = m_private->keepingCancelled.load(), done, moment = std::move(moment),
                        present] { m_private->goTo(asked, moment, present, done); },
        done);
}

vmm::Result<std::shared_ptr<vmm::timeline::Timeline const>> MachineRunner::timeline() const
{
    std::shared_ptr<vmm::timeline::Timeline const> open;
    if (auto* const loop = m_private->loop())
        loop->call([&] { open = m_private->timeline; });
    if (open)
        return open;
    if (m_places.timelineFolder.empty())
        return vmm::fail(vmm::ErrorCode::Unsupported, "a machine that is in no library has no timeline");
    auto folder = TRY(vmm::timeline::openFolder(m_places.timelineFolder));
    open = TRY(vmm::timeline::Timeline::open(std::move(folder), vmm::timeline::Timeline::Access::ReadOnly));
    return open;
}

void MachineRunner::changeTimeline(std::function<vmm::Result<>(vmm::timeline::Timeline&)> what, Completion const& done)
{
    m_private->post(
        [this, done, what = std::move(what)] {
            m_private->withTimeline([&] { return what(*m_private->timeline); }, done);
        },
        done);
}

void MachineRunner::workOnTimeline(std::string job, TimelineJob what, Completion const& done)
{
    m_private->post(
        [this, job = std::move(job), what = std::move(what), done] { m_private->workOnTimeline(job, what, done); },
        done);
}

void MachineRunner::endMoment(std::string moment, Completion const& done)
{
    m_private->post(
        [this, done, moment = std::move(moment)] {
            auto const end = [&]() -> vmm::Result<> {
                TRY(m_private->timeline->purge(moment));
                // The moment is no more, whatever its disks still have of it: that is remembered, and tried again.
                m_private->tidyDisks();
                return vmm::Result<>();
            };
            m_private->withTimeline(end, [this, done](vmm::Result<> const& outcome) {
                if (!outcome)
                    return Private::finish(done, outcome);
                if (!m_private->machine)
                    return m_private->giveBack(done);
                m_private->thinning.now();
                Private::finish(done, {});
            });
        },
        done);
}

}
