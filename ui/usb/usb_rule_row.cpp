#include "ui/usb/usb_rule_row.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/elided_label.h"

#include <QComboBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QToolButton>
#include <algorithm>

namespace ui {

UsbRuleRow::UsbRuleRow(QWidget* parent)
    : QWidget(parent),
      m_picture(new QLabel),
      m_meant(new QLabel),
      m_name(new ElidedLabel),
      m_choice(new QComboBox),
      m_edit(new QToolButton),
      m_remove(new QToolButton)
{
    m_meant->setProperty("quiet", true);
    m_meant->setTextFormat(Qt::PlainText);
    m_meant->setWordWrap(true);
    auto* column = new QVBoxLayout;
    column->setSpacing(0);
    column->addWidget(m_name);
    column->addWidget(m_meant);
    // No item has more room than a name of usual length: the list that opens has it.
    m_choice->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    m_choice->setMinimumContentsLength(18);
    m_edit->setFocusPolicy(Qt::StrongFocus);
    m_remove->setFocusPolicy(Qt::StrongFocus);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(10);
    layout->addWidget(m_picture);
    layout->addLayout(column, 1);
    layout->addWidget(m_choice);
    layout->addWidget(m_edit);
    layout->addWidget(m_remove);
    connect(m_choice, &QComboBox::activated, this, [this](int index) {
        auto chosen = m_rule;
        chosen.action = m_choices[static_cast<std::size_t>(index)].first;
        chosen.machine = m_choices[static_cast<std::size_t>(index)].second.toStdString();
        if (chosen != m_rule)
            emit changed(chosen);
    });
    connect(m_edit, &QToolButton::clicked, this, [this] { emit editWanted(m_rule.match); });
    connect(m_remove, &QToolButton::clicked, this, [this] { emit removed(m_rule.match); });
}

void UsbRuleRow::setRule(app::UsbRule const& rule, Machines const& machines)
{
    m_rule = rule;
    m_machines = machines;
    updateTexts();
}

/// A list that is open stays open: what is the same is not touched.
void UsbRuleRow::fillChoice()
{
    m_choices = { { app::UsbAction::Ask, {} }, { app::UsbAction::Never, {} } };
    QStringList items { tr("Ask each time"), tr("Stays on this computer") };
    if (!m_rule.match.isEmpty()) {
        for (auto const& [id, name] : m_machines) {
            m_choices.emplace_back(app::UsbAction::Attach, id);
            items += tr("Always into “%1”").arg(name);
        }
    }
    auto const chosen = std::pair(m_rule.action, QString::fromStdString(m_rule.machine));
    auto current = std::ranges::find(m_choices, chosen);
    if (current == m_choices.end()) {
        m_choices.push_back(chosen);
        items += tr("Into a machine that is not here");
        current = std::prev(m_choices.end());
    }
    for (int i = 0; i < items.size(); ++i) {
        if (i == m_choice->count())
            m_choice->addItem(items[i]);
        else if (m_choice->itemText(i) != items[i])
            m_choice->setItemText(i, items[i]);
    }
    while (m_choice->count() > items.size())
        m_choice->removeItem(m_choice->count() - 1);
    m_choice->setCurrentIndex(static_cast<int>(current - m_choices.begin()));
}

void UsbRuleRow::updateTexts()
{
    auto const words = usbMatchWords(m_rule.match);
    auto const named = QString::fromStdString(m_rule.name);
    m_picture->setPixmap(
        icon(usbIconName(m_rule.match), themeColors().faint).pixmap(QSize(18, 18), devicePixelRatioF()));
    m_name->setText(named.isEmpty() ? words : named);
    m_meant->setText(words);
    m_meant->setVisible(!named.isEmpty());
    auto const spoken = named.isEmpty() ? words : QStringLiteral("%1 (%2)").arg(named, words);
    m_choice->setAccessibleName(tr("What happens with %1").arg(spoken));
    m_edit->setIcon(icon(QStringLiteral("pencil")));
    m_edit->setToolTip(tr("Change which devices are meant: %1").arg(spoken));
    m_edit->setAccessibleName(m_edit->toolTip());
    m_remove->setIcon(icon(QStringLiteral("trash")));
    m_remove->setToolTip(tr("Remove the rule for %1").arg(spoken));
    m_remove->setAccessibleName(m_remove->toolTip());
    fillChoice();
}

void UsbRuleRow::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange || event->type() == QEvent::PaletteChange)
        updateTexts();
}

}
