#include "ui/usb/usb_row_view.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_drop.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/switch.h"

#include <QApplication>
#include <QDropEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QSignalBlocker>
#include <QToolButton>

namespace ui {

UsbRowView::UsbRowView(QWidget* parent)
    : QWidget(parent),
      m_icon(new QLabel),
      m_details(new QLabel),
      m_name(new ElidedLabel),
      m_remove(new QToolButton),
      m_switch(new Switch)
{
    m_details->setProperty("quiet", true);
    m_details->setWordWrap(true);
    m_details->setTextFormat(Qt::PlainText);
    auto* words = new QVBoxLayout;
    words->setSpacing(0);
    words->addWidget(m_name);
    words->addWidget(m_details);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 3, 0, 3);
    layout->setSpacing(10);
    layout->addWidget(m_icon, 0, Qt::AlignTop);
    layout->addLayout(words, 1);
    layout->addWidget(m_remove, 0, Qt::AlignTop);
    layout->addWidget(m_switch, 0, Qt::AlignTop);
    m_remove->setAutoRaise(true);
    connect(m_remove, &QToolButton::clicked, this, [this] { emit removalWanted(m_row.id); });
    // Not clicked(): a screen reader toggles.
    connect(m_switch, &QCheckBox::toggled, this, [this](bool on) {
        // The switch follows when it is done.
        QSignalBlocker const blocker(m_switch);
        m_switch->setChecked(m_row.plugged);
        emit wanted(m_row.id, on);
    });
}

void UsbRowView::setRow(UsbRow const& row)
{
    m_row = row;
    update();
}

void UsbRowView::update()
{
    auto const& colors = themeColors();
    m_icon->setPixmap(
        icon(m_row.iconName, m_row.plugged ? colors.running : colors.faint).pixmap(QSize(20, 20), devicePixelRatioF()));
    m_name->setText(m_row.name);
    m_details->setText(m_row.details);
    m_details->setVisible(!m_row.details.isEmpty());
    setToolTip(m_row.tip);
    {
        QSignalBlocker const blocker(m_switch);
        m_switch->setChecked(m_row.plugged);
    }
    m_remove->setVisible(m_row.group == UsbRow::Group::Own);
    m_remove->setEnabled(m_row.whyNot.isEmpty());
    m_remove->setIcon(icon(QStringLiteral("trash")));
    m_remove->setAccessibleName(tr("Remove %1").arg(m_row.name));
    m_remove->setToolTip(m_row.whyNot.isEmpty() ? tr("Take it away from the machine") : m_row.whyNot);
    m_switch->setEnabled(m_row.whyNot.isEmpty());
    m_switch->setAccessibleName(m_row.name);
    m_switch->setAccessibleDescription(
        m_row.whyNot.isEmpty() ? m_row.details : m_row.details + QStringLiteral(". ") + m_row.whyNot);
    m_switch->setToolTip(!m_row.whyNot.isEmpty() ? m_row.whyNot
            : m_row.plugged                      ? unplugWords()
                                                 : tr("Plug it into the machine"));
    setCursor(m_row.whyNot.isEmpty() && m_row.isOfHost() ? Qt::OpenHandCursor : Qt::ArrowCursor);
}

QString UsbRowView::unplugWords() const
{
    switch (m_row.group) {
    case UsbRow::Group::Own: return tr("Unplug it from the machine");
    case UsbRow::Group::Remote: return tr("Give it back to the other computer");
    case UsbRow::Group::Place: return tr("Do not wait there any more");
    default: return tr("Give it back to this computer");
    }
}

void UsbRowView::mousePressEvent(QMouseEvent* event)
{
    m_pressedAt = event->pos();
}

void UsbRowView::mouseMoveEvent(QMouseEvent* event)
{
    if (event->buttons() == Qt::LeftButton && m_row.whyNot.isEmpty() && m_row.isOfHost()
        && (event->pos() - m_pressedAt).manhattanLength() >= QApplication::startDragDistance())
        emit dragged();
}

void UsbRowView::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::LanguageChange)
        update();
}

UsbGroup::UsbGroup(UsbRow::Group group, QWidget* parent)
    : QWidget(parent), m_group(group), m_heading(new QLabel), m_nothing(new QLabel), m_rows(new QVBoxLayout)
{
    setAcceptDrops(group == UsbRow::Group::Machine || group == UsbRow::Group::Host);
    for (auto* label : { m_heading, m_nothing }) {
        label->setProperty("quiet", true);
        label->setWordWrap(true);
    }
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 2, 0, 4);
    layout->setSpacing(2);
    layout->addWidget(m_heading);
    layout->addWidget(m_nothing);
    m_rows->setSpacing(2);
    layout->addLayout(m_rows);
}

void UsbGroup::setHeading(QString const& heading)
{
    m_heading->setText(heading);
    setAccessibleName(heading);
}

void UsbGroup::setNothing(QString const& text)
{
    m_nothing->setText(text);
}

void UsbGroup::place(std::vector<UsbRowView*> const& rows)
{
    while (auto* item = m_rows->takeAt(0))
        delete item; // the view goes on elsewhere, or its owner ends it
    for (auto* row : rows) {
        m_rows->addWidget(row);
        row->show();
    }
    m_nothing->setVisible(rows.empty() && !m_nothing->text().isEmpty());
    setVisible(!rows.empty() || !m_nothing->text().isEmpty());
}

void UsbGroup::paintEvent(QPaintEvent*)
{
    if (!m_isOver)
        return;
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    auto const accent = QApplication::palette().color(QPalette::Highlight);
    auto wash = accent;
    wash.setAlpha(30);
    painter.setBrush(wash);
    painter.setPen(QPen(accent, 1.5));
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 7, 7);
}

bool UsbGroup::takes(QDropEvent const& event) const
{
    auto const dragged = DraggedUsb::from(event.mimeData());
    return dragged && dragged->plugged != (m_group == UsbRow::Group::Machine);
}

void UsbGroup::setOver(bool isOver)
{
    m_isOver = isOver;
    update();
}

void UsbGroup::dragEnterEvent(QDragEnterEvent* event)
{
    if (!takes(*event))
        return;
    event->acceptProposedAction();
    setOver(true);
}

void UsbGroup::dragLeaveEvent(QDragLeaveEvent*)
{
    setOver(false);
}

void UsbGroup::dropEvent(QDropEvent* event)
{
    setOver(false);
    if (!takes(*event))
        return;
    event->acceptProposedAction();
    emit dropped(DraggedUsb::from(event->mimeData())->id, m_group == UsbRow::Group::Machine);
}

}
