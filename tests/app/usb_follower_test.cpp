#include "app/usb/usb_follower.h"
#include "tests/support/suite.h"

#include <QTest>

using namespace app;
using namespace std::chrono_literals;
using Cause = UsbFollower::Cause;
using Reason = UsbQuestion::Reason;
using Outcome = UsbFate::Outcome;

namespace {

vmm::HostUsbInfo device(
    std::string port, std::uint8_t address, std::uint16_t product = 0x1666, std::string serial = "S")
{
    vmm::HostUsbInfo info;
    info.port = std::move(port);
    info.bus = 1;
    info.address = address;
    info.vendor = 0x0951;
    info.product = product;
    info.serial = std::move(serial);
    return info;
}

HostUsbEntry entry(vmm::HostUsbInfo const& info, std::optional<UsbRule> rule = {}, std::vector<HostUse> uses = {})
{
    return { info, std::move(uses), {}, std::move(rule) };
}

UsbRule to(std::string machine)
{
    return { {}, UsbAction::Attach, std::move(machine), {} };
}

UsbRule const asked { {}, UsbAction::Ask, {}, {} }, never { {}, UsbAction::Never, {}, {} };
HostUse const mounted { HostUse::Kind::MountedDisk, "/mnt" }, keyboard { HostUse::Kind::Keyboard, "keys" },
    onlyKeyboard { HostUse::Kind::Keyboard, "keys", true }, probed { HostUse::Kind::DiskInUse, "sda: udevd (1)" },
    probedPort { HostUse::Kind::PortInUse, "ttyACM0: modems (2)" };

using Steps = std::vector<UsbFollower::Step>;

/// A follower of the machine "web", with a clock.
struct Bench {
    UsbFollower follower { "web", true };
    vmm::Nanoseconds now = 1h;
    std::vector<vmm::HostUsbInfo> attached;

    Steps look(std::vector<HostUsbEntry> const& plugged) { return follower.look(plugged, attached, now); }
    /// What the machine had is gone.
    void lose(vmm::HostUsbInfo const& info)
    {
        std::erase(attached, info);
        follower.lost(info, now);
    }
    std::vector<Reason> reasons() const
    {
        std::vector<Reason> all;
        for (auto const& question : follower.questions())
            all.push_back(question.reason);
        return all;
    }
};

}

class UsbFollowerTest final : public QObject {
    Q_OBJECT
private slots:
    void whatIsSetToTheMachineComesWhenItStarts()
    {
        Bench bench;
        auto const mine = device("1-1", 2), others = device("1-2", 3), free = device("1-3", 4);
        QCOMPARE(bench.look({ entry(mine, to("web")), entry(others, to("db")), entry(free) }),
            (Steps { { mine, Cause::Rule } }));
        QVERIFY(bench.reasons().empty()); // what was there before is not asked about
    }

    void andWhenItIsPluggedInLater()
    {
        Bench bench;
        QVERIFY(bench.look({}).empty());
        auto const mine = device("1-1", 2);
        QCOMPARE(bench.look({ entry(mine, to("web")) }), (Steps { { mine, Cause::Rule } }));
        QVERIFY(bench.look({ entry(mine, to("web")) }).empty()); // once; it may have failed
        QVERIFY(bench.look({}).empty());
        bench.now += 1h;
        auto const again = device("1-4", 9);
        QCOMPARE(bench.look({ entry(again, to("web")) }), (Steps { { again, Cause::Rule } }));
    }

    void whatThePersonTookAwayStaysAway()
    {
        Bench bench;
        auto const mine = device("1-1", 2);
        bench.look({});
        bench.look({ entry(mine, to("web")) });
        bench.attached = { mine };
        QVERIFY(bench.look({ entry(mine, to("web")) }).empty());
        bench.attached.clear();
        QVERIFY(bench.look({ entry(mine, to("web")) }).empty());
        bench.follower.cameUp();
        QCOMPARE(bench.look({ entry(mine, to("web")) }).size(), 1u);
    }

    void aRuleNeverTakesWhatTheHostNeeds()
    {
        Bench bench;
        bench.look({});
        auto const stick = device("1-1", 2), keys = device("1-2", 3), more = device("1-3", 4);
        auto const steps = bench.look({ entry(stick, to("web"), { mounted }), entry(keys, to("web"), { onlyKeyboard }),
            entry(more, to("web"), { keyboard }) });
        QCOMPARE(steps, (Steps { { more, Cause::Rule } }));
        QCOMPARE(bench.reasons(), (std::vector { Reason::UsedByHost, Reason::UsedByHost }));
        QCOMPARE(bench.follower.questions().front().uses, std::vector { mounted });
        bench.look({ entry(stick, to("web"), { mounted }), entry(keys, to("web"), { onlyKeyboard }) });
        QCOMPARE(bench.reasons().size(), 2u); // they stand
        bench.follower.settled("1-1");
        QCOMPARE(bench.reasons().size(), 1u);
        bench.look({ entry(stick, to("web"), { mounted }) }); // the keyboard was plugged out
        QVERIFY(bench.reasons().empty());
    }

    void aNewDeviceIsAskedAboutUnlessARuleSaysOtherwise()
    {
        Bench bench;
        bench.look({});
        auto const one = device("1-1", 2), two = device("1-2", 3);
        QVERIFY(bench
                    .look({ entry(one), entry(two, asked), entry(device("1-3", 4), never),
                        entry(device("1-4", 5), to("db")) })
                    .empty());
        QCOMPARE(bench.reasons(), (std::vector { Reason::PluggedIn, Reason::PluggedIn }));
        QCOMPARE(bench.follower.questions().back().device, two);
        auto taken = entry(one);
        taken.holder = UsbHolder { "db", "db", 1 };
        bench.look({ taken, entry(two, asked) });
        QCOMPARE(bench.reasons().size(), 1u); // another machine has taken it
        UsbFollower none("web", false);
        none.look({}, {}, 1h);
        none.look({ entry(one) }, {}, 1h);
        QVERIFY(none.questions().empty());
    }

    void whatOnlyGotAnotherAddressIsNotAskedAbout()
    {
        Bench bench;
        bench.look({ entry(device("1-1", 2)) });
        bench.look({}); // the host slept
        bench.now += 10s;
        bench.look({ entry(device("1-1", 7)) });
        QVERIFY(bench.reasons().empty());
        bench.look({});
        bench.now += 16s;
        bench.look({ entry(device("1-1", 8)) });
        QCOMPARE(bench.reasons(), std::vector { Reason::PluggedIn });
    }

    void whatTheMachineHadComesBackToItsPort()
    {
        Bench bench;
        auto const first = device("1-1", 2), loaded = device("1-1", 3, 0x1667, "");
        bench.attached = { first };
        bench.look({ entry(first) });
        QVERIFY(bench.look({}).empty());
        bench.lose(first);
        bench.now += 2s;
        QCOMPARE(bench.look({ entry(loaded) }), (Steps { { loaded, Cause::Comeback } })); // as another product
        QVERIFY(bench.look({ entry(loaded) }).empty());
    }

    void alsoWhereItIsHeardOfBeforeTheLoss()
    {
        Bench bench;
        auto const first = device("1-1", 2), second = device("1-1", 3);
        bench.attached = { first };
        bench.look({ entry(first) });
        QVERIFY(bench.look({ entry(second) }).empty()); // the machine has the old one still
        bench.lose(first);
        QCOMPARE(bench.look({ entry(second) }), (Steps { { second, Cause::Comeback } }));
    }

    void anotherOneIsAskedAboutWhenTheOneBeforeItIsGivenBack()
    {
        Bench bench;
        auto const first = device("1-1", 2);
        auto other = device("1-1", 3);
        other.vendor = 0x1209;
        bench.attached = { first };
        bench.look({ entry(first) });
        bench.attached.clear();
        auto held = entry(other);
        held.holder = UsbHolder { "web", "Web", 7 }; // the port, still
        QVERIFY(bench.look({ held }).empty());
        QVERIFY(bench.reasons().empty());
        bench.lose(first);
        QVERIFY(bench.look({ entry(other) }).empty());
        QCOMPARE(bench.reasons(), std::vector { Reason::PluggedIn });
    }

    void whatDiedWhereItIsIsOpenedAgain()
    {
        Bench bench;
        auto const same = device("1-1", 2);
        bench.attached = { same };
        bench.look({ entry(same) });
        bench.lose(same); // its handle; the address is as it was
        QCOMPARE(bench.look({ entry(same) }), (Steps { { same, Cause::Comeback } }));
    }

    void butNotForEver()
    {
        Bench bench;
        auto const same = device("1-1", 2);
        for (int i = 0; i < 3; ++i) {
            bench.lose(same);
            QCOMPARE(bench.look({ entry(same) }).size(), 1u);
            QVERIFY(bench.follower.givenUp().empty());
            bench.now += 1s;
        }
        bench.lose(same);
        QVERIFY(bench.look({ entry(same) }).empty());
        QCOMPARE(bench.follower.givenUp(), std::vector { same });
        QVERIFY(bench.look({ entry(same) }).empty());
        QVERIFY(bench.follower.givenUp().empty()); // told once
        auto const again = device("1-1", 3);       // plugged in anew
        bench.look({});
        QCOMPARE(bench.look({ entry(again, to("web")) }).size(), 1u);
        bench.now += 61s;
        bench.lose(same);
        QCOMPARE(bench.look({ entry(same) }).size(), 1u);
    }

    void norForOneThatIsAnotherEachTime()
    {
        Bench bench;
        bench.look({});
        for (std::uint8_t address = 2; address < 14; ++address) {
            QCOMPARE(bench.look({ entry(device("1-1", address), to("web")) }).size(), 1u);
            bench.lose(device("1-1", address));
            bench.look({});
        }
        QCOMPARE(bench.look({ entry(device("1-1", 14), to("web")) }).size(), 1u);
        bench.lose(device("1-1", 14));
        QVERIFY(bench.look({ entry(device("1-1", 15), to("web")) }).empty());
        QCOMPARE(bench.follower.givenUp().size(), 1u);
        bench.look({});
        bench.now += 61s;
        QCOMPARE(bench.look({ entry(device("1-1", 16), to("web")) }).size(), 1u);
    }

    void whatComesTooLateOrFromElsewhereIsAnotherDevice()
    {
        Bench bench;
        auto const first = device("1-1", 2);
        bench.look({});
        bench.lose(first);
        QVERIFY(bench.look({ entry(device("1-2", 3)) }).empty());
        auto other = device("1-1", 4);
        other.vendor = 0x1234;
        QVERIFY(bench.look({ entry(other) }).empty());
        bench.lose(first);
        bench.now += 16s;
        QVERIFY(bench.look({ entry(device("1-1", 5)) }).empty());
    }

    void aWordHoldsForWhatComesBackButNotForAMountedDisk()
    {
        Bench bench;
        auto const keys = device("1-1", 2), again = device("1-1", 3);
        bench.lose(keys);
        QCOMPARE(bench.look({ entry(again, {}, { onlyKeyboard }) }).size(), 1u);
        bench.lose(again);
        auto const disk = device("1-1", 4);
        QVERIFY(bench.look({ entry(disk, {}, { mounted }) }).empty());
        QCOMPARE(bench.reasons(), std::vector { Reason::UsedByHost });
    }

    void whatAProgramLooksAtComesWhenItHasDone()
    {
        Bench bench;
        bench.look({});
        auto const stick = device("1-1", 2), port = device("1-2", 3), back = device("1-3", 4);
        bench.lose(device("1-3", 1));
        std::vector const all { entry(stick, to("web"), { probed }), entry(port, to("web"), { probedPort }),
            entry(back, {}, { probed }) };
        QVERIFY(bench.look(all).empty());
        QVERIFY(bench.reasons().empty() && bench.follower.isWaiting());
        bench.now += 4s;
        QVERIFY(bench.look(all).empty());
        QVERIFY(bench.reasons().empty() && bench.follower.isWaiting());
        QCOMPARE(bench.look({ entry(stick, to("web")), entry(port, to("web")), entry(back) }),
            (Steps { { stick, Cause::Rule }, { port, Cause::Rule }, { back, Cause::Comeback } }));
        QVERIFY(!bench.follower.isWaiting());
        QVERIFY(bench.look({ entry(stick, to("web")), entry(port, to("web")), entry(back) }).empty());
    }

    void whatAProgramUsesIsAskedAbout()
    {
        Bench bench;
        bench.look({});
        auto const stick = device("1-1", 2), other = device("1-2", 3), gone = device("1-3", 4), held = device("1-4", 5);
        std::vector all { entry(stick, to("web"), { probed }), entry(other, to("web"), { probed }),
            entry(gone, to("web"), { probed }), entry(held, to("web"), { probed }) };
        QVERIFY(bench.look(all).empty());
        all[1].uses = { mounted }; // that is what it was looked at for
        all[2].holder = UsbHolder { "db", "db", 1 };
        all.pop_back();
        QVERIFY(bench.look(all).empty());
        QCOMPARE(bench.reasons(), std::vector { Reason::UsedByHost });
        QVERIFY(bench.follower.isWaiting());
        bench.now += 5s;
        QVERIFY(bench.look(all).empty());
        QCOMPARE(bench.reasons().size(), 2u);
        QVERIFY(!bench.follower.isWaiting());
        all[0].uses.clear();
        QVERIFY(bench.look(all).empty()); // the person has been asked
    }

    void whatTheHostBeginsToUseMeanwhileIsLookedAtAgain()
    {
        Bench bench;
        bench.look({});
        auto const stick = device("1-1", 2);
        QCOMPARE(bench.look({ entry(stick, to("web")) }).size(), 1u);
        bench.follower.refused({ stick, Cause::Rule }, bench.now);
        QVERIFY(bench.look({ entry(stick, to("web"), { probed }) }).empty());
        QVERIFY(bench.follower.isWaiting());
        QCOMPARE(bench.look({ entry(stick, to("web")) }), (Steps { { stick, Cause::Rule } }));
        bench.follower.refused({ stick, Cause::Rule }, bench.now);
        bench.follower.settled("1-1"); // by hand
        QVERIFY(!bench.follower.isWaiting());
        bench.follower.refused({ stick, Cause::Rule }, bench.now);
        QVERIFY(bench.look({ entry(stick, to("web"), { mounted }) }).empty());
        QCOMPARE(bench.reasons(), std::vector { Reason::UsedByHost });
    }

    void whatFailsIsTriedAgainForATime()
    {
        Bench bench;
        bench.look({});
        auto const stick = device("1-1", 2);
        for (auto const& step : { UsbFollower::Step { stick, Cause::Rule }, { stick, Cause::Rule } }) {
            QCOMPARE(bench.look({ entry(stick, to("web")) }), Steps { step });
            QVERIFY(bench.follower.triesAgain(step, bench.now));
            QVERIFY(bench.follower.isWaiting());
            bench.now += 3s;
        }
        QVERIFY(!bench.follower.triesAgain({ stick, Cause::Rule }, bench.now));
        bench.follower.settled("1-1"); // by hand, and plugged in again
        QVERIFY(bench.follower.triesAgain({ stick, Cause::Rule }, bench.now));
    }

    void whatLeavesBeforeItIsTakenComesBack()
    {
        Bench bench;
        auto const first = device("1-1", 2), second = device("1-1", 3), third = device("1-1", 4);
        bench.look({ entry(first) });
        bench.lose(first);
        bench.look({});
        QCOMPARE(bench.look({ entry(second) }), (Steps { { second, Cause::Comeback } }));
        QVERIFY(bench.follower.triesAgain({ second, Cause::Comeback }, bench.now));
        QVERIFY(bench.look({}).empty());
        QVERIFY(!bench.follower.isWaiting());
        QCOMPARE(bench.look({ entry(third) }), (Steps { { third, Cause::Comeback } }));
        QVERIFY(bench.look({ entry(third) }).empty());
    }

    void whatItHasBecomeMayBeForOthers()
    {
        Bench bench;
        auto const first = device("1-1", 2), phone = device("1-1", 3, 0x2222);
        bench.lose(first);
        QVERIFY(bench.look({ entry(phone, to("db")) }).empty());
        bench.lose(first);
        QVERIFY(bench.look({ entry(phone, never) }).empty());
        bench.lose(first);
        QCOMPARE(bench.look({ entry(device("1-1", 4), never) }).size(), 1u); // overruled when it was attached
    }

    void aRestoreFollowsThePolicy_data()
    {
        QTest::addColumn<UsbRestore>("policy");
        QTest::addColumn<std::size_t>("steps");
        QTest::addColumn<std::size_t>("questions");
        QTest::addColumn<Outcome>("outcome");
        QTest::addRow("attach") << UsbRestore::Attach << std::size_t(1) << std::size_t(0) << Outcome::PluggedAnew;
        QTest::addRow("leave") << UsbRestore::Leave << std::size_t(0) << std::size_t(0) << Outcome::Unplugged;
        QTest::addRow("ask") << UsbRestore::Ask << std::size_t(0) << std::size_t(1) << Outcome::Asked;
    }
    void aRestoreFollowsThePolicy()
    {
        QFETCH(UsbRestore, policy);
        QFETCH(std::size_t, steps);
        QFETCH(std::size_t, questions);
        QFETCH(Outcome, outcome);
        Bench bench;
        auto const had = device("1-1", 2), free = device("1-2", 3, 0x1777), set = device("1-3", 4, 0x1888, "T");
        auto elsewhere = had; // it has its serial number
        elsewhere.port = "2-4";
        UsbRules rules;
        rules.setRestore("web", policy);
        tests::must(rules.set(alwaysAttach(set, "web")));
        std::vector const plugged { entry(elsewhere), entry(free), entry(set, *rules.ruleFor(set)) };
        auto const trace = vmm::HostUsbTrace::of(had);
        auto const fates = foresee({}, { trace, vmm::HostUsbTrace::of(set) }, plugged, rules, "web");
        QCOMPARE(fates[0].outcome, outcome);
        QCOMPARE(fates[0].port, "2-4");
        QCOMPARE(fates[1].outcome, Outcome::PluggedAnew); // what is set to it comes in any case

        bench.follower.cameUp({ trace, vmm::HostUsbTrace::of(set) }, policy);
        auto const done = bench.look(plugged);
        QCOMPARE(done.size(), steps + 1);
        QCOMPARE(bench.follower.questions().size(), questions);
        if (steps == 1)
            QCOMPARE(done.front(), (UsbFollower::Step { elsewhere, Cause::Restored }));
        if (questions == 1)
            QCOMPARE(bench.reasons().front(), Reason::Restored);
        bench.look({});
        bench.now += 1h;
        QVERIFY(bench.look({ entry(elsewhere) }).empty()); // the restore is over
    }

    void whatAMachineIsGivingBackItCanHaveAgain()
    {
        auto const had = device("1-1", 2);
        auto plugged = std::vector { entry(had) };
        plugged[0].holder = UsbHolder { "web", "Web", 1 };
        QCOMPARE(foresee({}, { vmm::HostUsbTrace::of(had) }, plugged, {}, "web").front().outcome, Outcome::PluggedAnew);
        plugged[0].holder->machine = "mail";
        QCOMPARE(foresee({}, { vmm::HostUsbTrace::of(had) }, plugged, {}, "web").front().outcome, Outcome::NotHere);
    }

    void aRestoreTakesNothingThatTheHostUses()
    {
        Bench bench;
        auto const had = device("1-1", 2);
        std::vector const plugged { entry(had, {}, { mounted }) };
        QCOMPARE(foresee({}, { vmm::HostUsbTrace::of(had) }, plugged, {}, "web").front().outcome, Outcome::Asked);
        bench.follower.cameUp({ vmm::HostUsbTrace::of(had) });
        QVERIFY(bench.look(plugged).empty());
        QCOMPARE(bench.reasons(), std::vector { Reason::UsedByHost });
    }

    void whatAPersonGaveBackStaysThere()
    {
        Bench bench;
        auto const had = device("1-1", 2);
        bench.follower.comesUp();
        bench.follower.givenBack(had); // before anybody has looked
        bench.follower.cameUp({ vmm::HostUsbTrace::of(had) });
        QVERIFY(bench.look({ entry(had, to("web")) }).empty());
        QVERIFY(bench.look({ entry(had, to("web")) }).empty());
        QVERIFY(bench.reasons().empty());
        // Until it is plugged in again, attached by hand, or the machine comes up once more.
        auto const again = device("1-1", 3);
        QCOMPARE(bench.look({ entry(again, to("web")) }).size(), 1u);
        bench.follower.givenBack(again);
        bench.follower.settled("1-1");
        bench.lose(again);
        QCOMPARE(bench.look({ entry(again, to("web")) }), (Steps { { again, Cause::Comeback } }));
        bench.follower.givenBack(again);
        bench.follower.comesUp();
        bench.follower.cameUp();
        QCOMPARE(bench.look({ entry(again, to("web")) }), (Steps { { again, Cause::Rule } }));
    }

    void norWhatRulesKeepForOthers()
    {
        for (auto const& rule : { never, to("db") }) {
            for (auto const policy : { UsbRestore::Attach, UsbRestore::Ask }) {
                Bench bench;
                auto const had = device("1-1", 2);
                bench.follower.cameUp({ vmm::HostUsbTrace::of(had) }, policy);
                QVERIFY(bench.look({ entry(had, rule) }).empty());
                QVERIFY(bench.reasons().empty());
                UsbRules rules;
                rules.setRestore("web", policy);
                QCOMPARE(
                    foresee({}, { vmm::HostUsbTrace::of(had) }, { entry(had, rule) }, rules, "web").front().outcome,
                    Outcome::Unplugged);
            }
        }
    }

    void whatWillBecomeOfThemIsSaidBefore()
    {
        auto const here = device("1-1", 2), then = device("1-2", 3, 0x1777), gone = device("1-3", 4, 0x1888);
        auto held = entry(then);
        held.holder = UsbHolder { "db", "db", 1 };
        auto const fates = foresee({ here },
            { vmm::HostUsbTrace::of(here), vmm::HostUsbTrace::of(then), vmm::HostUsbTrace::of(gone) },
            { entry(here), held }, {}, "web");
        QCOMPARE(fates.size(), 3u);
        QVERIFY(fates[0].isAttached);
        QCOMPARE(fates[0].outcome, Outcome::PluggedAnew);
        QVERIFY(!fates[1].isAttached);
        QCOMPARE(fates[1].outcome, Outcome::NotHere);
        QCOMPARE(fates[2].outcome, Outcome::NotHere);
    }

    void aSavedStateTellsWhichDeviceItWas()
    {
        using vmm::HostUsbTrace;
        auto const trace = HostUsbTrace::in("host 0951:1666 1-2.3 123456789 AB 12");
        QCOMPARE(trace, std::optional(HostUsbTrace { 0x0951, 0x1666, "1-2.3", "AB 12" }));
        QCOMPARE(HostUsbTrace::in("host 0951:1666 1-2.3 123456789 ")->serial, "");
        QVERIFY(trace->fits(device("9-9", 1, 0x1666, "AB 12")));
        QVERIFY(!trace->fits(device("1-2.3", 1, 0x1666, "")));
        HostUsbTrace const without { 0x0951, 0x1666, "1-2.3", "" };
        QVERIFY(without.fits(device("1-2.3", 1, 0x1666, "")));
        QVERIFY(!without.fits(device("1-2.4", 1, 0x1666, "")));
        auto const redirected = HostUsbTrace::in("redirected 0951:1666 123456789");
        QCOMPARE(redirected, std::optional(HostUsbTrace { 0x0951, 0x1666, "", "" }));
        QVERIFY(redirected->isRedirected() && !trace->isRedirected());
        QVERIFY(!redirected->fits(device("1-2.3", 1, 0x1666, "")));
        for (auto const* text : { "", "host ", "redirected ", "redirected 0951", "host 0951:1666  7 S", "keyboard kbd0",
                 "host 0951:1666", "host 0951:1666 ", "host 0951:1666 1-2", "host 0951:1666 1-2 7",
                 "host 0951-1666 1-2 7 S", "host 095x:1666 1-2 7 S", "host -951:1666 1-2 7 S" })
            QVERIFY2(!HostUsbTrace::in(text), text);
    }

    void whatDevicesSayOfThemselvesCanBeShown()
    {
        using vmm::plainUsbText;
        QCOMPARE(plainUsbText("Grüße 日本 🎧", 100), "Grüße 日本 🎧");
        QCOMPARE(plainUsbText("a\x1b[2Jb\x7f\n", 100), "a?[2Jb??");
        QCOMPARE(plainUsbText("\xc2\x9b"
                              "2J",
                     100),
            "?2J"); // a control character of 8 bits
        QCOMPARE(plainUsbText("\xff\xc3", 100), "??");
        QCOMPARE(plainUsbText("\xc0\xaf\xe0\x80\xaf\xed\xa0\x80", 100), "????????"); // overlong, and a surrogate
        QCOMPARE(plainUsbText("日本", 5), "日");
    }
};

REGISTER_SUITE(UsbFollowerTest);
#include "usb_follower_test.moc"
