#include "tests/support/suite.h"
#include "tests/ui/find_by_text.h"
#include "ui/usb/usb_bar.h"

#include <QAccessible>
#include <QApplication>
#include <QCheckBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>

using app::UsbQuestion;
using Reason = app::UsbQuestion::Reason;

namespace {

UsbQuestion about(char const* port, char const* name, Reason reason = Reason::PluggedIn)
{
    UsbQuestion question;
    question.device.port = port;
    question.device.manufacturer = "Kingston";
    question.device.name = name;
    question.device.interfaceClasses = { 0x08 };
    question.reason = reason;
    return question;
}

/// A page with a field that has the focus, and the bar over it.
struct Bench {
    struct Answer {
        std::string port;
        bool yes, always;
        bool operator==(Answer const&) const = default;
    };
    QWidget page;
    QLineEdit* field = new QLineEdit(&page);
    ui::UsbBar* bar = new ui::UsbBar(&page);
    std::vector<Answer> answers;
    int done = 0;

    explicit Bench(int width = 800)
    {
        page.resize(width, 400);
        bar->setMachine("Debian");
        bar->place(page.rect());
        page.show();
        [&] { QVERIFY(QTest::qWaitForWindowActive(&page)); }();
        field->setFocus();
        QObject::connect(bar, &ui::UsbBar::answered, bar, [this](UsbQuestion const& asked, bool yes, bool always) {
            answers.push_back({ asked.device.port, yes, always });
        });
        QObject::connect(bar, &ui::UsbBar::done, bar, [this] { ++done; });
    }
    QPushButton* button(QString const& text) const { return tests::button(bar, text); }
    QCheckBox* always() const { return bar->findChild<QCheckBox*>(); }
};

}

/// The bar over a machine's display that asks about USB devices.
class UsbBarTest final : public QObject {
    Q_OBJECT
private slots:
    void asksQuietly()
    {
        Bench bench;
        QVERIFY(!bench.bar->isVisible());
        bench.bar->ask(about("1-2", "DataTraveler"));
        QVERIFY(bench.bar->isVisible());
        QVERIFY(bench.field->hasFocus());
        QCOMPARE(bench.bar->accessibleName(), "“Kingston DataTraveler” has been plugged in.");
        QTest::mouseClick(bench.button("Attach to Debian"), Qt::LeftButton);
        QCOMPARE(bench.answers, (std::vector<Bench::Answer> { { "1-2", true, false } }));
        QVERIFY(!bench.bar->isVisible());
    }

    void keepsAndRemembers()
    {
        Bench bench;
        bench.bar->ask(about("1-2", "DataTraveler"));
        QTest::mouseClick(bench.always(), Qt::LeftButton);
        QTest::mouseClick(bench.button("Keep on this computer"), Qt::LeftButton);
        QCOMPARE(bench.answers, (std::vector<Bench::Answer> { { "1-2", false, true } }));
        bench.bar->ask(about("1-4", "Other"));
        QVERIFY(!bench.always()->isChecked()); // that was said of the first
    }

    void byKeyboardAlone()
    {
        Bench bench;
        bench.bar->ask(about("1-2", "DataTraveler"));
        bench.bar->focusAnswer();
        QVERIFY(bench.button("Attach to Debian")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Backtab);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Backtab);
        QVERIFY(bench.always()->hasFocus());
        QTest::keyClick(bench.always(), Qt::Key_Space);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QCOMPARE(bench.answers, (std::vector<Bench::Answer> { { "1-2", true, true } }));
        QCOMPARE(bench.done, 1);
        bench.bar->ask(about("1-2", "DataTraveler"));
        bench.bar->focusAnswer();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Escape);
        QCOMPARE(bench.answers.back(), (Bench::Answer { "1-2", false, false }));
    }

    void oneAfterTheOther()
    {
        Bench bench;
        bench.bar->ask(about("1-2", "DataTraveler"));
        bench.bar->ask(about("1-3", "Token"));
        bench.bar->ask(about("1-2", "DataTraveler")); // again: it is asked about last now
        QCOMPARE(bench.bar->question().device.port, "1-3");
        QVERIFY(bench.bar->isAsking("1-2"));
        bench.button("Keep on this computer")->setFocus();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QCOMPARE(bench.bar->question().device.port, "1-2");
        QVERIFY(bench.bar->isAncestorOf(QApplication::focusWidget()));
        bench.always()->setChecked(true);
        bench.bar->ask(about("1-5", "Another"));
        QVERIFY(bench.always()->isChecked()); // what comes later changes nothing here
        bench.bar->withdraw("1-5");
        bench.bar->withdraw("1-2");
        QVERIFY(!bench.bar->isVisible());
        QCOMPARE(bench.done, 1);
    }

    void whatTheHostUsesIsWarnedOf()
    {
        Bench bench;
        auto question = about("1-2", "DataTraveler", Reason::UsedByHost);
        question.uses = { { app::HostUse::Kind::MountedDisk, "/media/anna/STICK", false } };
        bench.bar->ask(about("1-3", "Token"));
        bench.bar->askNow(question);
        QCOMPARE(bench.bar->question().device.port, "1-2");
        QVERIFY2(bench.bar->accessibleName().contains("It is mounted at /media/anna/STICK"),
            qPrintable(bench.bar->accessibleName()));
        QVERIFY(bench.button("Keep on this computer")->hasFocus());
        QVERIFY(!bench.button("Attach anyway")->property("primary").toBool());
        QVERIFY(!bench.always()->isVisible());
        QTest::mouseClick(bench.button("Attach anyway"), Qt::LeftButton);
        QCOMPARE(bench.answers, (std::vector<Bench::Answer> { { "1-2", true, false } }));
        QVERIFY(bench.button("Attach to Debian")->property("primary").toBool());
    }

    void asksAgainAfterAMoment()
    {
        Bench bench;
        bench.bar->ask(about("1-2", "DataTraveler", Reason::Restored));
        QVERIFY(bench.bar->accessibleName().contains("was in the machine before"));
        QTest::mouseClick(bench.button("Attach again"), Qt::LeftButton);
        QCOMPARE(bench.answers, (std::vector<Bench::Answer> { { "1-2", true, false } }));
    }

    void hasRoomForItsWords_data()
    {
        QTest::addColumn<int>("width");
        for (auto const width : { 360, 500, 800, 1600 })
            QTest::addRow("%d", width) << width;
    }
    void hasRoomForItsWords()
    {
        QFETCH(int, width);
        Bench bench(width);
        auto question = about("1-2", "A name that is as long as such names are", Reason::UsedByHost);
        question.uses = { { app::HostUse::Kind::MountedDisk, "/media/anna/A_STICK_WITH_A_LONG_NAME", false },
            { app::HostUse::Kind::DiskInUse, "sdb2 in dm-3", false } };
        bench.bar->ask(question);
        QVERIFY(bench.page.rect().contains(bench.bar->geometry()));
        for (auto* label : bench.bar->findChildren<QLabel*>()) {
            if (label->wordWrap())
                QVERIFY(label->height() >= label->heightForWidth(label->width()));
        }
        for (auto* button : bench.bar->findChildren<QPushButton*>())
            QVERIFY(button->width() >= button->minimumSizeHint().width());
        // Also with all answers, and where the display changes while it asks.
        bench.bar->withdraw("1-2");
        for (auto const now : { 1600, width }) {
            bench.bar->place({ 0, 0, now, 400 });
            bench.bar->ask(about("1-3", "DataTraveler"));
            QVERIFY(QRect(0, 0, now, 400).contains(bench.bar->geometry()));
        }
    }
};

REGISTER_SUITE(UsbBarTest);
#include "usb_bar_test.moc"
