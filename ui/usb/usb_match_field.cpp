#include "ui/usb/usb_match_field.h"

#include "ui/usb/usb_words.h"

#include <QAccessible>
#include <QEvent>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>

namespace ui {

UsbMatchField::UsbMatchField(QWidget* parent)
    : QWidget(parent),
      m_title(new QLabel),
      m_told(new QLabel),
      m_hint(new QLabel),
      m_match(new QLineEdit),
      m_back(new QPushButton),
      m_go(new QPushButton)
{
    for (auto* label : { m_title, m_told, m_hint }) {
        label->setWordWrap(true);
        label->setTextFormat(Qt::PlainText);
    }
    m_hint->setProperty("quiet", true);
    m_told->setProperty("problem", true);
    m_go->setProperty("primary", true);
    auto* line = new QHBoxLayout;
    line->setSpacing(8);
    line->addWidget(m_match, 1);
    line->addWidget(m_back);
    line->addWidget(m_go);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(8);
    layout->addWidget(m_title);
    layout->addLayout(line);
    layout->addWidget(m_told);
    layout->addWidget(m_hint);
    connect(m_match, &QLineEdit::textChanged, this, [this] { tell({}); });
    connect(m_match, &QLineEdit::returnPressed, this, &UsbMatchField::enter);
    connect(m_back, &QPushButton::clicked, this, &UsbMatchField::left);
    connect(m_go, &QPushButton::clicked, this, &UsbMatchField::enter);
    hide();
    updateTexts();
    tell({});
}

void UsbMatchField::open(std::optional<app::UsbMatch> const& instead)
{
    m_instead = instead;
    m_given = instead ? QString::fromStdString(app::usbMatchText(*instead)) : QString();
    m_match->setText(m_given);
    updateTexts();
    tell({});
    show();
    m_match->setFocus(Qt::OtherFocusReason);
    m_match->selectAll();
}

void UsbMatchField::openAgain(std::optional<app::UsbMatch> const& instead, app::UsbMatch const& entered)
{
    open(instead);
    m_match->setText(QString::fromStdString(app::usbMatchText(entered)));
}

std::optional<app::UsbMatch> UsbMatchField::instead() const
{
    return isHidden() ? std::nullopt : m_instead;
}

bool UsbMatchField::isWritten() const
{
    return !isHidden() && m_match->text() != m_given;
}

void UsbMatchField::comeBack(bool isInTheWay)
{
    auto const name = [](QPushButton const* button) { return button->text().remove(QLatin1Char('&')); };
    if (isInTheWay)
        tell(tr("This is not saved yet. Choose “%1” or “%2” first.").arg(name(m_go), name(m_back)));
    m_match->setFocus(Qt::OtherFocusReason);
}

void UsbMatchField::setTabOrderAfter(QWidget* before)
{
    setTabOrder(before, m_match);
    setTabOrder(m_match, m_back);
    setTabOrder(m_back, m_go);
}

void UsbMatchField::enter()
{
    if (auto const match = app::parseUsbMatch(m_match->text().trimmed().toStdString()))
        emit entered(*match);
    else
        refuse(tr("That does not say which devices are meant."), QString::fromStdString(match.error().detail));
}

void UsbMatchField::refuse(QString const& why, QString const& details)
{
    tell(why, details);
    m_match->setFocus(Qt::OtherFocusReason);
    m_match->selectAll();
    emit refused();
}

void UsbMatchField::tell(QString const& text, QString const& details)
{
    m_told->setText(text);
    m_told->setToolTip(details);
    m_told->setVisible(!text.isEmpty());
    m_match->setAccessibleDescription(text.isEmpty() ? m_hint->text() : text);
    if (text.isEmpty())
        return;
    QAccessibleEvent alert(m_told, QAccessible::Alert);
    QAccessible::updateAccessibility(&alert);
}

void UsbMatchField::updateTexts()
{
    m_title->setText(m_instead ? tr("Which devices are meant instead of: %1").arg(usbMatchWords(*m_instead))
                               : tr("Which devices the rule is about"));
    m_match->setAccessibleName(m_title->text());
    m_match->setPlaceholderText(QStringLiteral("0951:1666"));
    m_hint->setText(
        tr("VENDOR:PRODUCT as lsusb tells it, such as 0951:1666, or 0951:* for all of that maker. class=08, "
           "port=1-2.3 and serial=AB12 can stand alone or after it, with commas between them and the serial "
           "number last."));
    m_back->setText(tr("&Back"));
    m_go->setText(m_instead ? tr("&Change") : tr("&Add"));
}

void UsbMatchField::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape)
        emit left();
    else
        QWidget::keyPressEvent(event);
}

void UsbMatchField::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange) {
        updateTexts();
        tell({});
    }
}

}
