#include "tests/support/suite.h"
#include "ui/widgets/message_bar.h"

#include <QAccessible>
#include <QScopeGuard>
#if __has_include(<qpa/qplatformaccessibility.h>)
#include <private/qguiapplication_p.h>
#include <qpa/qplatformaccessibility.h>
#include <qpa/qplatformintegration.h>
#endif

class MessageBarTest final : public QObject {
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
        ui::MessageBar bar;
        static QStringList told;
        told.clear();
        auto const before = QAccessible::installUpdateHandler([](QAccessibleEvent* event) {
            auto const* about = qobject_cast<ui::MessageBar*>(event->object());
            if (about != nullptr && event->type() == QAccessible::Alert)
                told += about->text();
        });
        auto const heard = qScopeGuard([&] { QAccessible::installUpdateHandler(before); });
        for (auto const* text : { "Copying: 0 %", "Copying: 1 %", "Copying: 2 %" })
            bar.showProgress(text, "Cancel", {});
        QCOMPARE(bar.text(), QStringLiteral("Copying: 2 %"));
        QCOMPARE(told, QStringList("Copying: 0 %"));
        bar.showNotice("Something else.");
        bar.showProgress("Copying: 3 %", "Cancel", {});
        bar.dismissNotice();
        bar.showProgress("Copying: 0 %", "Cancel", {});
        QCOMPARE(told, (QStringList { "Copying: 0 %", "Something else.", "Copying: 3 %", "Copying: 0 %" }));
    }
};

REGISTER_SUITE(MessageBarTest);
#include "message_bar_test.moc"
