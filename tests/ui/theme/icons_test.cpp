#include "tests/support/suite.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QMenu>
#include <QTemporaryDir>
#include <QToolButton>

namespace {

/// The darkest pixel, and the lightest, of a part of a widget.
std::pair<int, int> lightness(QWidget& widget, QRect const& part)
{
    auto const image = widget.grab(part).toImage();
    auto found = std::pair(255, 0);
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) {
            auto const here = image.pixelColor(x, y).lightness();
            found = { std::min(found.first, here), std::max(found.second, here) };
        }
    }
    return found;
}

}

class IconsTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        QVERIFY(m_directory.isValid());
        app::usePreferencesFile(m_directory.filePath("preferences"));
        ui::settings::theme.set(ui::Theme::Light);
        ui::applyTheme(*qApp);
    }

    void thatOfTheHighlightedEntryIsAsItsText()
    {
        constexpr int dark = 70, highlight = 110, light = 250;
        QMenu menu;
        auto* action = menu.addAction(ui::icon(QStringLiteral("trash")), QStringLiteral("Remove"));
        menu.popup({});
        QVERIFY(QTest::qWaitForWindowExposed(&menu));
        auto const entry = menu.actionGeometry(action);
        QRect const picture(entry.topLeft(), QSize(entry.height(), entry.height())); // before the text
        QVERIFY(lightness(menu, picture).first < dark);
        menu.setActiveAction(action);
        QVERIFY(lightness(menu, picture).first > highlight);
        QVERIFY(lightness(menu, picture).second > light);
        menu.close();
    }

    void thatOfAButtonUnderThePointerStaysDark()
    {
        constexpr int dark = 70;
        QToolButton button;
        button.setAutoRaise(true);
        button.setIcon(ui::icon(QStringLiteral("trash")));
        button.setAttribute(Qt::WA_UnderMouse);
        QVERIFY(lightness(button, button.rect()).first < dark);
    }

private:
    QTemporaryDir m_directory;
};

REGISTER_SUITE(IconsTest);
#include "icons_test.moc"
