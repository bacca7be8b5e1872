#include "ui/usb/usb_bar.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_words.h"

#include <QAccessible>
#include <QApplication>
#include <QCheckBox>
#include <QKeyEvent>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QStyle>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

namespace ui {

using Reason = app::UsbQuestion::Reason;

namespace {

constexpr int widest = 620, distance = 12; // from the edges of the display

}

UsbBar::UsbBar(QWidget* parent)
    : QFrame(parent),
      m_icon(new QLabel),
      m_text(new QLabel),
      m_more(new QLabel),
      m_always(new QCheckBox),
      m_yes(new QPushButton),
      m_no(new QPushButton),
      m_answers(new QBoxLayout(QBoxLayout::LeftToRight))
{
    m_text->setWordWrap(true);
    m_text->setTextFormat(Qt::PlainText);
    m_more->setProperty("quiet", true);
    auto* first = new QHBoxLayout;
    first->setSpacing(12);
    first->addWidget(m_icon, 0, Qt::AlignTop);
    first->addWidget(m_text, 1);
    first->addWidget(m_more, 0, Qt::AlignTop);
    m_answers->setContentsMargins(34, 0, 0, 0);
    m_answers->setSpacing(8);
    m_answers->addWidget(m_always);
    m_answers->addStretch(1);
    m_answers->addWidget(m_no);
    m_answers->addWidget(m_yes);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(14, 12, 14, 12);
    layout->setSpacing(8);
    layout->addLayout(first);
    layout->addLayout(m_answers);
    connect(m_yes, &QPushButton::clicked, this, [this] { answer(true); });
    connect(m_no, &QPushButton::clicked, this, [this] { answer(false); });
    hide();
}

void UsbBar::setMachine(QString const& name)
{
    m_machine = name;
    updateTexts();
}

bool UsbBar::isAsking(QString const& port) const
{
    return std::ranges::any_of(
        m_questions, [&](app::UsbQuestion const& asked) { return asked.device.port == port.toStdString(); });
}

void UsbBar::ask(app::UsbQuestion question)
{
    drop(question.device.port);
    m_questions.push_back(std::move(question));
    showFirst();
}

void UsbBar::askNow(app::UsbQuestion question)
{
    drop(question.device.port);
    m_questions.push_front(std::move(question));
    showFirst();
    focusAnswer();
}

void UsbBar::withdraw(QString const& port)
{
    drop(port.toStdString());
    showFirst();
}

void UsbBar::drop(std::string const& port)
{
    std::erase_if(m_questions, [&](app::UsbQuestion const& asked) { return asked.device.port == port; });
}

void UsbBar::answer(bool yes)
{
    auto const asked = m_questions.front();
    auto const always = m_always->isVisibleTo(this) && m_always->isChecked();
    m_questions.pop_front();
    showFirst();
    emit answered(asked, yes, always);
}

void UsbBar::focusAnswer()
{
    // What changes nothing, where a key that is held down would do harm.
    (question().reason == Reason::UsedByHost ? m_no : m_yes)->setFocus(Qt::OtherFocusReason);
}

void UsbBar::showFirst()
{
    auto const hadFocus = isAncestorOf(QApplication::focusWidget());
    if (m_questions.empty()) {
        m_shown.clear();
        hide();
        if (hadFocus)
            emit done();
        return;
    }
    bool const isNew = std::exchange(m_shown, question().device.port) != question().device.port;
    if (isNew)
        m_always->setChecked(false); // that was said of another
    updateTexts();
    updateLook();
    show();
    place(m_area);
    raise();
    if (!isNew)
        return;
    if (hadFocus)
        focusAnswer();
    QAccessibleEvent alert(this, QAccessible::Alert);
    QAccessible::updateAccessibility(&alert);
}

void UsbBar::place(QRect area)
{
    m_area = area;
    if (m_questions.empty() || area.isEmpty())
        return;
    auto const room = std::min(area.width() - 2 * distance, widest);
    // A layout does not hear of a change in a layout in it, and that not of one in a widget, before it is activated.
    auto const answerIn = [this](QBoxLayout::Direction direction) {
        m_answers->setDirection(direction);
        layout()->invalidate();
        layout()->activate();
    };
    answerIn(QBoxLayout::LeftToRight);
    if (layout()->totalMinimumSize().width() > room)
        answerIn(QBoxLayout::TopToBottom);
    auto const width = std::max(room, layout()->totalMinimumSize().width());
    auto const height = layout()->hasHeightForWidth() ? layout()->totalHeightForWidth(width) : sizeHint().height();
    setGeometry(area.center().x() - width / 2, area.top() + distance, width, height);
}

void UsbBar::updateTexts()
{
    if (m_questions.empty())
        return;
    auto const& asked = question();
    auto const name = usbName(asked.device);
    m_text->setText(asked.reason == Reason::PluggedIn ? tr("“%1” has been plugged in.").arg(name)
            : asked.reason == Reason::Restored
            ? tr("“%1” was in the machine before, and is unplugged now.").arg(name)
            : tr("“%1” is to come into the machine. %2").arg(name, takingText(asked.uses)));
    m_yes->setText(asked.reason == Reason::PluggedIn ? tr("&Attach to %1").arg(m_machine)
            : asked.reason == Reason::Restored       ? tr("&Attach again")
                                                     : tr("&Attach anyway"));
    m_no->setText(tr("&Keep on this computer"));
    m_always->setText(tr("A&lways do this"));
    m_always->setVisible(asked.reason == Reason::PluggedIn);
    m_more->setText(tr("%n more", nullptr, static_cast<int>(m_questions.size()) - 1));
    m_more->setVisible(m_questions.size() > 1);
    setAccessibleName(m_text->text());
}

void UsbBar::updateLook()
{
    if (m_questions.empty())
        return;
    auto const isWarning = question().reason == Reason::UsedByHost;
    m_icon->setPixmap(icon(isWarning ? QStringLiteral("warning") : usbIconName(question().device),
        isWarning ? themeColors().problem : themeColors().running)
                          .pixmap(QSize(22, 22), devicePixelRatioF()));
    m_yes->setProperty("primary", !isWarning); // what is usual, and never what does harm
    m_yes->style()->unpolish(m_yes);
    m_yes->style()->polish(m_yes);
    update();
}

void UsbBar::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setBrush(QApplication::palette().color(QPalette::Base));
    auto const isWarning = isAsking() && question().reason == Reason::UsedByHost;
    painter.setPen(QPen(isWarning ? themeColors().problem : themeColors().border, 1));
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 10, 10);
}

void UsbBar::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape && isAsking())
        return answer(false);
    QFrame::keyPressEvent(event);
}

void UsbBar::changeEvent(QEvent* event)
{
    QFrame::changeEvent(event);
    if (event->type() == QEvent::LanguageChange) {
        updateTexts();
        place(m_area);
    } else if (event->type() == QEvent::PaletteChange) {
        updateLook();
    }
}

}
