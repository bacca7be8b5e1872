#include "tests/support/suite.h"
#include "ui/widgets/work_line.h"

#include <QAccessible>
#include <QProgressBar>
#include <QScopeGuard>
#if __has_include(<qpa/qplatformaccessibility.h>)
#include <private/qguiapplication_p.h>
#include <qpa/qplatformaccessibility.h>
#include <qpa/qplatformintegration.h>
#endif

class WorkLineTest final : public QObject {
    Q_OBJECT
private slots:
    void aScreenReaderHearsOnceOfWorkThatGoesOn()
    {
#if __has_include(<qpa/qplatformaccessibility.h>)
        // As it is where a screen reader runs.
        auto* platform = QGuiApplicationPrivate::platformIntegration()->accessibility();
        bool const wasActive = platform->isActive();
        platform->setActive(true);
        auto const restored = qScopeGuard([=] { platform->setActive(wasActive); });
#else
        QSKIP("CHRONOVISOR-SKIP: Qt's private headers are not installed");
#endif
        ui::WorkLine line;
        static QStringList told;
        told.clear();
        auto const before = QAccessible::installUpdateHandler([](QAccessibleEvent* event) {
            auto const* about = qobject_cast<ui::WorkLine*>(event->object());
            if (about != nullptr && event->type() == QAccessible::Alert)
                told += about->text();
        });
        auto const heard = qScopeGuard([&] { QAccessible::installUpdateHandler(before); });
        line.tell("Copying …", 0);
        line.tell("Copying …", 0.1);
        auto const* bar = line.findChild<QProgressBar*>();
        QCOMPARE(bar->value(), 100);
        QCOMPARE(bar->accessibleName(), QStringLiteral("Copying …"));
        QCOMPARE(told, QStringList("Copying …"));
        line.tell("Importing …", 0);
        line.hide();
        line.tell("Importing …", 0);
        QCOMPARE(told, (QStringList { "Copying …", "Importing …", "Importing …" }));
    }

    void aLongNameMakesTheWindowNoWider()
    {
        ui::WorkLine line;
        line.tell("Copying …", 0);
        auto const least = line.minimumSizeHint().width();
        line.tell(QString(500, 'x'), 0);
        QCOMPARE(line.minimumSizeHint().width(), least);
    }
};

REGISTER_SUITE(WorkLineTest);
#include "work_line_test.moc"
