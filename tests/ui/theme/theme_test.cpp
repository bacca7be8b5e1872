#include "app/settings/settings.h"
#include "tests/support/suite.h"
#include "ui/settings/language.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QPushButton>
#include <QTemporaryDir>

namespace {

/// How often each widget has got new rules.
class Restyling final : public QObject {
public:
    QMap<QObject*, int> times;
    bool eventFilter(QObject* watched, QEvent* event) override
    {
        times[watched] += event->type() == QEvent::StyleChange ? 1 : 0;
        return false;
    }
};

void show(ui::Theme theme)
{
    ui::settings::theme.set(theme);
    ui::applyTheme(*qApp);
}

}

/// Light and dark.
class ThemeTest final : public QObject {
    Q_OBJECT
private slots:
    void init()
    {
        app::usePreferencesFile(m_directory.filePath("preferences"));
        show(ui::Theme::Light);
    }

    /// Else a widget is restyled as often as it lies deep, and the window stands still for a third of a second.
    void aChangeRestylesEachWidgetOnce()
    {
        QWidget window;
        auto* at = &window;
        for (int depth = 0; depth < 8; ++depth)
            at = new QWidget(at);
        auto* button = new QPushButton(at);
        window.show();
        Restyling restyling;
        for (auto* one : std::initializer_list<QObject*> { &window, at, button })
            one->installEventFilter(&restyling);
        show(ui::Theme::Dark);
        QCOMPARE(restyling.times[&window], 1);
        QCOMPARE(restyling.times[at], 1);
        QCOMPARE(restyling.times[button], 1);
    }

    void whatIsThereLooksAsWhatIsMadeThen()
    {
        QWidget window;
        auto* before = new QPushButton("Words", &window);
        before->setFocusPolicy(Qt::NoFocus); // which looks otherwise
        window.show();
        show(ui::Theme::Dark);
        auto* after = new QPushButton("Words", &window);
        after->setFocusPolicy(Qt::NoFocus);
        after->show();
        for (auto* one : { before, after })
            one->resize(120, 40);
        auto const picture = before->grab().toImage();
        QCOMPARE(picture, after->grab().toImage());
        show(ui::Theme::Light);
        QVERIFY(before->grab().toImage() != picture);
        QCOMPARE(before->grab().toImage(), after->grab().toImage());
    }

private:
    QTemporaryDir m_directory;
};

REGISTER_SUITE(ThemeTest);
#include "theme_test.moc"
