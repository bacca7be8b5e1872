#include "ui/usb/usb_panel.h"

#include "ui/usb/usb_drop.h"
#include "ui/usb/usb_row_view.h"
#include "ui/widgets/switch.h"

#include <QCursor>
#include <QDrag>
#include <QEvent>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

namespace ui {

UsbPanel::UsbPanel(QWidget* parent)
    : QWidget(parent),
      m_title(new QLabel),
      m_why(new QLabel),
      m_add(new QPushButton),
      m_rules(new QPushButton),
      m_other(new QPushButton)
{
    auto font = m_title->font();
    font.setWeight(QFont::DemiBold);
    m_title->setFont(font);
    for (auto* button : { m_add, m_rules, m_other })
        button->setProperty("link", true);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(6);
    auto* top = new QHBoxLayout;
    top->addWidget(m_title, 1);
    top->addWidget(m_add);
    top->addWidget(m_rules);
    layout->addLayout(top);
    m_why->setWordWrap(true);
    layout->addWidget(m_why);
    for (std::size_t i = 0; i < groups; ++i) {
        m_groups[i] = new UsbGroup(static_cast<UsbRow::Group>(i));
        layout->addWidget(m_groups[i]);
        connect(m_groups[i], &UsbGroup::dropped, this, &UsbPanel::wanted);
    }
    layout->addWidget(m_other, 0, Qt::AlignLeft);
    connect(m_rules, &QPushButton::clicked, this, &UsbPanel::rulesRequested);
    connect(m_other, &QPushButton::clicked, this, &UsbPanel::otherRequested);
    setRows({});
}

UsbRowView* UsbPanel::makeRow()
{
    auto* view = new UsbRowView(this);
    connect(view, &UsbRowView::wanted, this, &UsbPanel::wanted);
    connect(view, &UsbRowView::removalWanted, this, &UsbPanel::removalWanted);
    connect(view, &UsbRowView::dragged, this, [this, view] { startDrag(view); });
    return view;
}

void UsbPanel::setRows(std::vector<UsbRow> rows, QString const& problem)
{
    m_problem = problem;
    // Rows keep their views, and with them the focus, wherever they go.
    QString focused;
    for (auto const& [id, view] : m_views) {
        if (view->plug()->hasFocus())
            focused = id;
    }
    std::array<std::vector<UsbRowView*>, groups> placed;
    auto before = std::exchange(m_views, {});
    for (auto const& row : rows) {
        auto const known = before.extract(row.id);
        auto* view = known ? known.mapped() : makeRow();
        m_views[row.id] = view;
        view->setRow(row);
        placed[static_cast<std::size_t>(row.group)].push_back(view);
    }
    m_rows = std::move(rows);
    updateTexts();
    auto* last = static_cast<QWidget*>(m_rules);
    for (std::size_t i = 0; i < groups; ++i) {
        m_groups[i]->place(placed[i]);
        for (auto* view : placed[i]) {
            setTabOrder(last, view->removal());
            setTabOrder(view->removal(), view->plug());
            last = view->plug();
        }
    }
    setTabOrder(last, m_other);
    for (auto const& [id, view] : before) {
        view->hide(); // its switch may be the sender
        view->deleteLater();
    }
    if (m_views.contains(focused))
        m_views[focused]->plug()->setFocus(Qt::OtherFocusReason);
    else if (!focused.isEmpty())
        focusFirst();
}

void UsbPanel::setAddMenu(QMenu* menu)
{
    m_add->setMenu(menu);
}

void UsbPanel::setWhyNoOther(QString const& why)
{
    m_whyNoOther = why;
    updateTexts();
}

void UsbPanel::focusFirst()
{
    for (auto const& row : m_rows) {
        if (!row.whyNot.isEmpty())
            continue;
        m_views[row.id]->plug()->setFocus(Qt::ShortcutFocusReason);
        return;
    }
    m_rules->setFocus(Qt::ShortcutFocusReason);
}

void UsbPanel::startDrag(UsbRowView* view)
{
    auto const row = view->row();
    auto* drag = new QDrag(this); // and not of the row, which may go meanwhile
    drag->setMimeData(DraggedUsb { row.id, row.plugged }.toMime());
    drag->setPixmap(view->grab());
    drag->setHotSpot(view->mapFromGlobal(QCursor::pos()));
    if (!row.plugged)
        emit dragBegan(row.name);
    drag->exec(Qt::MoveAction);
    emit dragEnded();
}

void UsbPanel::updateTexts()
{
    m_title->setText(tr("USB"));
    m_add->setText(tr("Add"));
    m_add->setToolTip(tr("A stick, or another device of the machine's own"));
    m_rules->setText(tr("Rules…"));
    m_rules->setToolTip(tr("What happens with a device when it is plugged in"));
    m_other->setText(tr("From another computer…"));
    m_why->setText(m_whyNoOther);
    m_why->setVisible(!m_whyNoOther.isEmpty());
    m_other->setEnabled(m_whyNoOther.isEmpty());
    m_other->setToolTip(m_whyNoOther.isEmpty() ? tr("A USB device that another computer passes on") : m_whyNoOther);
    m_other->setAccessibleDescription(m_other->toolTip());
    auto const group = [this](UsbRow::Group which) { return m_groups[static_cast<std::size_t>(which)]; };
    group(UsbRow::Group::Machine)->setHeading(tr("In the machine"));
    group(UsbRow::Group::Remote)->setHeading(tr("From other computers"));
    group(UsbRow::Group::Place)->setHeading(tr("Waiting for devices of other computers"));
    group(UsbRow::Group::Host)->setHeading(tr("On this computer"));
    bool const hasSome = std::ranges::find(m_rows, UsbRow::Group::Machine, &UsbRow::group) != m_rows.end();
    group(UsbRow::Group::Host)
        ->setNothing(!m_problem.isEmpty() ? m_problem
                : hasSome                 ? tr("No other USB device is plugged in.")
                                          : tr("No USB device is plugged in."));
    group(UsbRow::Group::Own)->setHeading(tr("The machine's own"));
}

void UsbPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    emit shown();
}

void UsbPanel::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
