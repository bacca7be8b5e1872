#include "ui/usb/usb_redirect_card.h"

#include "app/settings/settings.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/busy.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QFontDatabase>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QPainter>
#include <QPushButton>
#include <QRadioButton>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

namespace ui {

using app::UsbMeeting;

namespace settings {

inline app::Setting<bool> const usbWaits { "ui/usbWaits", false };
inline app::Setting<QString> const usbCalled { "ui/usbCalled", {} };
inline app::Setting<QString> const usbWaitsAt { "ui/usbWaitsAt", QStringLiteral("0.0.0.0:4000") };

}

UsbRedirectCard::UsbRedirectCard(QWidget* parent)
    : QFrame(parent),
      m_icon(new QLabel),
      m_title(new QLabel),
      m_addressLabel(new QLabel),
      m_told(new QLabel),
      m_hint(new QLabel),
      m_note(new QLabel),
      m_calls(new QRadioButton),
      m_waits(new QRadioButton),
      m_address(new QLineEdit),
      m_command(new QLineEdit),
      m_copy(new QToolButton),
      m_back(new QPushButton),
      m_go(new QPushButton)
{
    auto font = m_title->font();
    font.setWeight(QFont::DemiBold);
    m_title->setFont(font);
    for (auto* label : { m_told, m_hint, m_note }) {
        label->setWordWrap(true);
        label->setTextFormat(Qt::PlainText);
    }
    m_note->setProperty("quiet", true);
    m_addressLabel->setBuddy(m_address);
    m_command->setReadOnly(true);
    m_command->setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
    m_copy->setAutoRaise(true);
    m_go->setProperty("primary", true);

    auto* top = new QHBoxLayout;
    top->setSpacing(12);
    top->addWidget(m_icon);
    top->addWidget(m_title, 1);
    auto* address = new QHBoxLayout;
    address->addWidget(m_addressLabel);
    address->addWidget(m_address, 1);
    auto* command = new QHBoxLayout;
    command->addWidget(m_command, 1);
    command->addWidget(m_copy);
    auto* answers = new QHBoxLayout;
    answers->setSpacing(8);
    answers->addStretch(1);
    answers->addWidget(m_back);
    answers->addWidget(m_go);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(14, 12, 14, 12);
    layout->setSpacing(8);
    layout->addLayout(top);
    layout->addWidget(m_calls);
    layout->addWidget(m_waits);
    layout->addLayout(address);
    layout->addWidget(m_told);
    layout->addWidget(m_hint);
    layout->addLayout(command);
    layout->addWidget(m_note);
    layout->addLayout(answers);

    connect(m_waits, &QRadioButton::toggled, this, &UsbRedirectCard::fill);
    connect(m_address, &QLineEdit::textChanged, this, &UsbRedirectCard::begin);
    connect(m_address, &QLineEdit::returnPressed, this, &UsbRedirectCard::ask);
    connect(m_copy, &QToolButton::clicked, this, [this] { QApplication::clipboard()->setText(m_command->text()); });
    connect(m_back, &QPushButton::clicked, this, &UsbRedirectCard::goBack);
    connect(m_go, &QPushButton::clicked, this, &UsbRedirectCard::ask);
    hide();
    updateLook();
}

UsbMeeting UsbRedirectCard::how() const
{
    return m_waits->isChecked() ? UsbMeeting::Wait : UsbMeeting::Call;
}

void UsbRedirectCard::open()
{
    if (isHidden()) {
        m_before = window()->focusWidget();
        (settings::usbWaits() ? m_waits : m_calls)->setChecked(true);
        fill();
        show();
        place(m_area);
    }
    raise();
    m_address->setFocus(Qt::OtherFocusReason);
    m_address->selectAll();
}

void UsbRedirectCard::leave()
{
    if (isHidden())
        return;
    auto const hadFocus = isAncestorOf(window()->focusWidget());
    m_asked.reset();
    hide();
    if (!hadFocus)
        return;
    if (m_before && m_before->isVisible() && m_before->isEnabled())
        m_before->setFocus(Qt::OtherFocusReason);
    else
        emit done();
}

void UsbRedirectCard::place(QRect area)
{
    constexpr int widest = 620, distance = 12; // from the edges of the display
    m_area = area;
    if (isHidden() || area.isEmpty())
        return;
    layout()->invalidate(); // of a label's new text it hears only then
    layout()->activate();
    auto const width = std::max(std::min(area.width() - 2 * distance, widest), layout()->totalMinimumSize().width());
    auto const height = layout()->totalHeightForWidth(width);
    setGeometry(area.center().x() - width / 2, std::max(area.top(), area.center().y() - height / 2), width, height);
}

// What is asked for

/// What was asked for last, or is the default.
void UsbRedirectCard::fill()
{
    m_address->setText(how() == UsbMeeting::Call ? settings::usbCalled() : settings::usbWaitsAt());
    for (auto* choice : { m_calls, m_waits }) // Tab leads to the one that is chosen, and arrow keys to the other
        choice->setFocusPolicy(choice->isChecked() ? Qt::StrongFocus : Qt::ClickFocus);
    begin();
}

/// Another address: what was asked for before goes on, and is told elsewhere.
void UsbRedirectCard::begin()
{
    m_asked.reset();
    setBusy(m_go, false);
    tell({});
    updateTexts();
}

void UsbRedirectCard::ask()
{
    if (m_asked)
        return;
    UsbCall const call { how(), m_address->text().trimmed() };
    bool const waits = call.how == UsbMeeting::Wait;
    if (app::parseUsbPeerAddress(call.address.toStdString())) {
        settings::usbWaits.set(waits);
        (waits ? settings::usbWaitsAt : settings::usbCalled).set(call.address);
    }
    m_asked = call;
    setBusy(m_go, true);
    tell(waits ? QString() : tr("Connecting…"));
    emit wanted(call);
}

void UsbRedirectCard::goBack()
{
    if (m_asked)
        emit calledOff(*m_asked);
    leave();
}

bool UsbRedirectCard::answer(UsbCall const& call, std::optional<Problem> const& problem)
{
    if (m_asked != call)
        return false;
    if (!problem) {
        leave();
        return true;
    }
    begin();
    tell(QStringLiteral("%1 %2").arg(problem->reason, problem->advice).trimmed(), problem->details);
    if (isAncestorOf(window()->focusWidget())) {
        m_address->setFocus(Qt::OtherFocusReason);
        m_address->selectAll();
    }
    return true;
}

void UsbRedirectCard::tell(QString const& text, QString const& details)
{
    m_told->setText(text);
    m_told->setToolTip(details);
    m_told->setVisible(!text.isEmpty());
    m_address->setAccessibleDescription(text);
    place(m_area);
    if (text.isEmpty())
        return;
    QAccessibleEvent alert(m_told, QAccessible::Alert);
    QAccessible::updateAccessibility(&alert);
}

// How it looks

void UsbRedirectCard::updateTexts()
{
    bool const waits = how() == UsbMeeting::Wait;
    m_title->setText(tr("A USB device of another computer"));
    setAccessibleName(m_title->text());
    m_calls->setText(tr("Connect to the computer that has it"));
    m_waits->setText(tr("Wait until that computer connects"));
    m_addressLabel->setText(tr("&Address:"));
    m_address->setAccessibleName(tr("Address"));
    m_address->setPlaceholderText(waits ? QStringLiteral("0.0.0.0:4000") : QStringLiteral("desk:4000"));
    m_hint->setText(QStringLiteral("%1 %2").arg(waits
            ? tr("Start this on the other computer as soon as the machine waits.")
            : tr("Start this on the other computer first."),
        tr("There lsusb tells what to write for VENDOR:PRODUCT, and Debian's package usbredirect has the command.")));
    m_command->setText(usbredirectLine(how(), m_address->text().trimmed()));
    m_command->setCursorPosition(0);
    m_command->setAccessibleName(tr("What to start on the other computer"));
    m_copy->setAccessibleName(tr("Copy what to start on the other computer"));
    m_copy->setToolTip(tr("Copy"));
    m_note->setText(waits ? tr("Nothing is encrypted, and at 0.0.0.0 whoever reaches this computer can plug something "
                               "in. A port alone is only for this computer, such as for a tunnel (ssh -R).")
                          : tr("Nothing is encrypted. Where that matters, take a tunnel (ssh -L) and write its port "
                               "alone."));
    m_back->setText(tr("&Back"));
    m_go->setText(waits ? tr("&Wait") : tr("&Connect"));
    place(m_area);
}

void UsbRedirectCard::updateLook()
{
    m_icon->setPixmap(icon(QStringLiteral("usb"), themeColors().running).pixmap(QSize(22, 22), devicePixelRatioF()));
    m_copy->setIcon(icon(QStringLiteral("copy")));
    update();
}

void UsbRedirectCard::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setBrush(QApplication::palette().color(QPalette::Base));
    painter.setPen(QPen(themeColors().border, 1));
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 10, 10);
}

void UsbRedirectCard::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape)
        return goBack();
    QFrame::keyPressEvent(event);
}

void UsbRedirectCard::changeEvent(QEvent* event)
{
    QFrame::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
    else if (event->type() == QEvent::PaletteChange)
        updateLook();
}

}
