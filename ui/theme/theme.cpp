#include "ui/theme/theme.h"

#include "ui/theme/icons.h"

#include <QAbstractSpinBox>
#include <QApplication>
#include <QComboBox>
#include <QPointer>
#include <QStyle>
#include <QStyleFactory>
#include <QWheelEvent>

namespace ui {

namespace {

constexpr int leastItem = 6; // letters of a list's item that are always seen

/// The wheel scrolls a page, and does not change by the way what lies under the pointer. Where there is little room a
/// long item of a list is cut off, and does not push what is beside it out of the window.
class FieldHabits final : public QObject {
public:
    using QObject::QObject;
    bool eventFilter(QObject* watched, QEvent* event) override
    {
        if (event->type() != QEvent::Wheel && event->type() != QEvent::Polish)
            return false;
        auto* field = qobject_cast<QWidget*>(watched);
        if (qobject_cast<QComboBox*>(field) == nullptr && qobject_cast<QAbstractSpinBox*>(field) == nullptr)
            return false;
        if (event->type() == QEvent::Polish) {
            if (auto* box = qobject_cast<QComboBox*>(field); box != nullptr && box->minimumContentsLength() == 0)
                box->setMinimumContentsLength(leastItem);
            // Or the wheel would give it the focus before it comes here.
            if (field->focusPolicy() == Qt::WheelFocus)
                field->setFocusPolicy(Qt::StrongFocus);
            return false;
        }
        if (field->hasFocus())
            return false;
        event->ignore(); // its parent gets it
        return true;
    }
};

/// After the rules have changed: these widgets and all that they hold, each once. Who hears of it may take widgets
/// away.
void restyle(QWidgetList const& widgets)
{
    QList<QPointer<QWidget>> const all(widgets.begin(), widgets.end());
    for (auto const& widget : all) {
        if (widget == nullptr)
            continue;
        widget->style()->polish(widget);
        QEvent change(QEvent::StyleChange);
        QApplication::sendEvent(widget, &change);
        if (widget != nullptr)
            restyle(widget->findChildren<QWidget*>(Qt::FindDirectChildrenOnly));
    }
}

/// Of an application that has rules already, QApplication::setStyleSheet() restyles every widget that it has looked
/// some up for, and with each one all that it holds: a widget as often as it lies deep. So it gets nothing to do here.
void changeRules(QApplication& application, QString const& rules)
{
    if (application.styleSheet().isEmpty())
        return application.setStyleSheet(rules);
    QApplication::style()->unpolish(&application); // forgets all that it has looked up
    application.setStyleSheet(rules);
    auto windows = QApplication::topLevelWidgets();
    windows.removeIf([](auto const* one) { return one->parentWidget() != nullptr; }); // those are children, too
    restyle(windows);
}

QPalette paletteOf(QColor window, QColor base, QColor alternate, QColor text, QColor quiet, QColor button,
    QColor accent, QColor accentText, QColor link)
{
    QPalette palette;
    palette.setColor(QPalette::Window, window);
    palette.setColor(QPalette::WindowText, text);
    palette.setColor(QPalette::Base, base);
    palette.setColor(QPalette::AlternateBase, alternate);
    palette.setColor(QPalette::Text, text);
    palette.setColor(QPalette::PlaceholderText, quiet);
    palette.setColor(QPalette::Button, button);
    palette.setColor(QPalette::ButtonText, text);
    palette.setColor(QPalette::BrightText, Qt::white);
    palette.setColor(QPalette::Highlight, accent);
    palette.setColor(QPalette::HighlightedText, accentText);
    palette.setColor(QPalette::Link, link);
    palette.setColor(QPalette::LinkVisited, link);
    palette.setColor(QPalette::ToolTipBase, base);
    palette.setColor(QPalette::ToolTipText, text);
    palette.setColor(QPalette::Light, window.lighter(112));
    palette.setColor(QPalette::Midlight, window.lighter(105));
    palette.setColor(QPalette::Mid, window.lightness() < 128 ? window.lighter(160) : window.darker(118));
    palette.setColor(QPalette::Dark, window.lightness() < 128 ? window.darker(140) : window.darker(140));
    palette.setColor(QPalette::Shadow, QColor(0, 0, 0, 120));
    for (auto const role : { QPalette::WindowText, QPalette::Text, QPalette::ButtonText })
        palette.setColor(QPalette::Disabled, role, quiet);
    palette.setColor(QPalette::Disabled, QPalette::Highlight, alternate);
    palette.setColor(QPalette::Disabled, QPalette::HighlightedText, quiet);
    return palette;
}

QString name(QColor const& color)
{
    return color.alpha() == 255
        ? color.name()
        : QStringLiteral("rgba(%1,%2,%3,%4)").arg(color.red()).arg(color.green()).arg(color.blue()).arg(color.alpha());
}

QString rules(QPalette const& palette)
{
    auto const colors = themeColors();
    auto const isDark = palette.color(QPalette::Window).lightness() < 128;
    auto const hover = isDark ? QColor(255, 255, 255, 22) : QColor(20, 30, 50, 18);
    auto const pressed = isDark ? QColor(255, 255, 255, 38) : QColor(20, 30, 50, 36);
    auto const accent = palette.color(QPalette::Highlight);
    return QStringLiteral(R"(
QToolTip { border: 1px solid %border; padding: 4px 6px; }
QToolButton { border: 1px solid transparent; border-radius: 7px; padding: 5px 8px; background: transparent; }
QToolButton:hover { background: %hover; }
QToolButton:pressed, QToolButton:checked { background: %pressed; }
QToolButton:focus { border-color: %accent; }
QToolButton::menu-indicator { width: 0px; image: none; }
QToolButton[popupMode="1"] { padding-right: 18px; }
QToolButton::menu-button { border: none; width: 16px; border-radius: 7px; }
QToolButton::menu-button:hover { background: %hover; }
QPushButton { border: 1px solid %border; border-radius: 7px; padding: 6px 14px; background: %button; min-height: 18px; outline: none; }
QPushButton:hover { background: %raised; }
QPushButton:pressed { background: %pressed; }
QPushButton:focus { border-color: %accent; }
QPushButton:disabled { color: %quiet; }
QPushButton::menu-indicator { subcontrol-origin: padding; subcontrol-position: right center; right: 6px; }
QPushButton[primary="true"] { background: %accent; color: %accentText; border-color: %accent; font-weight: 600; }
QPushButton[primary="true"]:hover { background: %accentHover; }
QPushButton[primary="true"]:focus { border: 2px solid %text; padding: 5px 13px; }
QPushButton[primary="true"]:disabled { background: %button; color: %quiet; border-color: %border; }
QPushButton[link="true"] { border: 1px solid transparent; background: transparent; color: %link; padding: 4px 6px 4px 2px; text-align: left; }
QPushButton[link="true"]:hover { text-decoration: underline; }
QPushButton[link="true"]:focus { border-color: %accent; }
QScrollBar:vertical { width: 11px; background: transparent; margin: 0; }
QScrollBar:horizontal { height: 11px; background: transparent; margin: 0; }
QScrollBar::handle { background: %handle; border-radius: 3px; margin: 2px 3px; }
QScrollBar::handle:vertical { min-height: 32px; margin: 2px 3px; }
QScrollBar::handle:horizontal { min-width: 32px; margin: 3px 2px; }
QScrollBar::handle:hover { background: %quiet; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QMenu { border: 1px solid %border; padding: 5px; background: %base; }
QMenu::item { padding: 6px 26px 6px 12px; border-radius: 5px; }
QMenu::icon { padding-left: 8px; }
QMenu::item:selected { background: %accent; color: %accentText; }
QMenu::item:disabled { color: %quiet; background: transparent; }
QMenu::separator { height: 1px; background: %border; margin: 5px 8px; }
QSplitter::handle { background: %border; }
QSplitter::handle:horizontal { width: 1px; }
QSplitter::handle:vertical { height: 1px; }
QTabBar::tab { padding: 6px 12px; border: none; border-bottom: 2px solid transparent; color: %quiet; }
QTabBar::tab:selected { color: %text; border-bottom-color: %accent; }
QTabBar::tab:hover { color: %text; }
QTabBar::tab:focus { background: %hover; }
QTabWidget::pane { border: none; border-top: 1px solid %border; }
QLineEdit, QPlainTextEdit, QComboBox, QAbstractSpinBox { border: 1px solid %border; border-radius: 6px; padding: 5px 7px; background: %base; selection-background-color: %accent; selection-color: %accentText; }
QLineEdit, QComboBox, QAbstractSpinBox { min-height: 20px; }
QComboBox:!editable { background: %button; }
QComboBox:!editable:hover { background: %raised; }
QLineEdit:focus, QPlainTextEdit:focus, QComboBox:focus, QAbstractSpinBox:focus { border-color: %accent; }
QLineEdit:disabled, QPlainTextEdit:disabled, QComboBox:disabled, QAbstractSpinBox:disabled { color: %quiet; background: %window; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox::down-arrow { image: url(:/icons/field_down.svg); width: 12px; height: 12px; }
QAbstractSpinBox { padding-right: 22px; }
QAbstractSpinBox::up-button { subcontrol-origin: border; subcontrol-position: top right; width: 22px; border: none; margin: 2px 2px 0 0; border-radius: 4px; }
QAbstractSpinBox::down-button { subcontrol-origin: border; subcontrol-position: bottom right; width: 22px; border: none; margin: 0 2px 2px 0; border-radius: 4px; }
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover { background: %hover; }
QAbstractSpinBox::up-arrow { image: url(:/icons/field_up.svg); width: 10px; height: 10px; }
QAbstractSpinBox::down-arrow { image: url(:/icons/field_down.svg); width: 10px; height: 10px; }
QAbstractSpinBox::up-arrow:disabled, QAbstractSpinBox::up-arrow:off, QAbstractSpinBox::down-arrow:disabled, QAbstractSpinBox::down-arrow:off, QComboBox::down-arrow:disabled { image: none; }
QComboBox QAbstractItemView { border: 1px solid %border; background: %base; outline: none; }
QHeaderView::section { border: none; border-bottom: 1px solid %border; padding: 4px 6px; background: %window; color: %quiet; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid %quiet; border-radius: 4px; background: %base; }
QCheckBox::indicator:checked { border-color: %accent; background: %accent; image: url(:/icons/checked.svg); }
QCheckBox::indicator:disabled { border-color: %border; background: %window; }
QCheckBox::indicator:checked:disabled { background: %quiet; }
QCheckBox::indicator:focus { border: 2px solid %text; width: 12px; height: 12px; }
QCheckBox:disabled { color: %quiet; }
QProgressBar { border: none; border-radius: 3px; background: %raised; min-height: 6px; max-height: 6px; }
QProgressBar::chunk { border-radius: 3px; background: %accent; }
QFrame#sidebar QListView { border: none; background: transparent; outline: none; }
QFrame#card { border: 1px solid %border; border-radius: 10px; background: %base; }
QFrame#sidebar { background: %side; }
QFrame#timeline, QFrame#pastCaption { background: %window; border: none; border-top: 1px solid %border; }
QFrame#toolbar { background: %window; border-bottom: 1px solid %border; }
QLabel[quiet="true"] { color: %quiet; }
QLabel[problem="true"] { color: %problem; }
QStatusBar { border-top: 1px solid %border; color: %quiet; }
QStatusBar::item { border: none; }
)")
        .replace(QStringLiteral("%accentText"), name(palette.color(QPalette::HighlightedText)))
        .replace(QStringLiteral("%accentHover"), name(accent.lighter(isDark ? 115 : 112)))
        .replace(QStringLiteral("%accent"), name(accent))
        .replace(QStringLiteral("%border"), name(colors.border))
        .replace(QStringLiteral("%raised"), name(colors.raised))
        .replace(QStringLiteral("%problem"), name(colors.problem))
        .replace(QStringLiteral("%quiet"), name(palette.color(QPalette::PlaceholderText)))
        .replace(QStringLiteral("%handle"), name(isDark ? QColor(255, 255, 255, 60) : QColor(20, 30, 50, 70)))
        .replace(QStringLiteral("%hover"), name(hover))
        .replace(QStringLiteral("%pressed"), name(pressed))
        .replace(QStringLiteral("%button"), name(palette.color(QPalette::Button)))
        .replace(QStringLiteral("%base"), name(palette.color(QPalette::Base)))
        .replace(QStringLiteral("%side"), name(palette.color(QPalette::AlternateBase)))
        .replace(QStringLiteral("%window"), name(palette.color(QPalette::Window)))
        .replace(QStringLiteral("%link"), name(palette.color(QPalette::Link)))
        .replace(QStringLiteral("%text"), name(palette.color(QPalette::Text)));
}

}

QPalette lightPalette()
{
    return paletteOf(0xf7f8fa, 0xffffff, 0xeef0f4, 0x1d2129, 0x626a76, 0xffffff, 0x2f67d8, 0xffffff, 0x1f56c4);
}

QPalette darkPalette()
{
    return paletteOf(0x1b1e23, 0x22262c, 0x171a1e, 0xe4e7ec, 0x969eaa, 0x2a2f36, 0x4a84f0, 0xffffff, 0x86b1ff);
}

ThemeColors themeColors()
{
    if (QApplication::palette().color(QPalette::Window).lightness() < 128)
        return { 0x58c27d, 0xe0b04a, 0x86b1ff, 0xff8a80, 0x969eaa, 0x343a43, 0x323841 };
    return { 0x1e8e4e, 0x9a6700, 0x2f67d8, 0xc4302b, 0x626a76, 0xd9dde4, 0xeceff3 };
}

void applyTheme(QApplication& application)
{
    // What the platform gave us, before our own palette hid it.
    static auto const systemIsDark = QApplication::palette().color(QPalette::Window).lightness() < 128;
    auto const theme = settings::theme();
    auto const dark = theme == Theme::Dark || (theme == Theme::System && systemIsDark);
    static auto const styled = [] {
        QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
        qApp->installEventFilter(new FieldHabits(qApp));
        followMenus(*qApp);
        return true;
    }();
    Q_UNUSED(styled)
    auto const palette = dark ? darkPalette() : lightPalette();
    QApplication::setPalette(palette);
    changeRules(application, rules(palette));
}

}
