#include "ui/settings/timeline_card.h"

#include "ui/settings/tier_row.h"
#include "ui/theme/icons.h"
#include "ui/widgets/problem.h"
#include "ui/widgets/tab_order.h"
#include "ui/widgets/words.h"
#include "ui/widgets/wrapped_check_box.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

namespace ui {

namespace {

constexpr double gib = 1u << 30;
constexpr std::uint64_t usualBudget = app::TimelinePolicy {}.budget;
/// What a person adds goes on where the longest one ends.
constexpr app::TimelineTier usualTiers[]
    = { { 0, 1 }, { 60, 24 }, { 24 * 60, 30 * 24 }, { 7 * 24 * 60, 365 * 24 }, { 7 * 24 * 60, 10 * 365 * 24 } };

QLabel* quietLabel()
{
    auto* label = new QLabel;
    label->setProperty("quiet", true);
    label->setWordWrap(true);
    return label;
}

}

TimelineCard::TimelineCard(QWidget* parent)
    : QWidget(parent),
      m_automatic(new WrappedCheckBox),
      m_beforeChange(new WrappedCheckBox),
      m_onClose(new WrappedCheckBox),
      m_isBounded(new WrappedCheckBox),
      m_minutes(new QSpinBox),
      m_budget(new QDoubleSpinBox),
      m_minutesLabel(new QLabel),
      m_usedLabel(quietLabel()),
      m_tiersLabel(quietLabel()),
      m_changeTiers(new QPushButton),
      m_addTier(new QPushButton),
      m_tierEditor(new QWidget),
      m_tierLayout(new QVBoxLayout)
{
    m_minutes->setRange(1, 7 * 24 * 60);
    m_budget->setRange(0.1, 1 << 20);
    m_budget->setDecimals(1);
    m_budget->setGroupSeparatorShown(true);
    m_budget->setSuffix(QStringLiteral(" GiB"));
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(8);
    auto const row = [layout](QWidget* first, QWidget* second, QWidget* third = nullptr) {
        auto* line = new QHBoxLayout;
        line->addWidget(first);
        line->addWidget(second);
        if (third != nullptr)
            line->addWidget(third);
        line->addStretch(1);
        layout->addLayout(line);
    };
    row(m_automatic, m_minutes, m_minutesLabel);
    layout->addWidget(m_beforeChange);
    layout->addWidget(m_onClose);
    row(m_isBounded, m_budget);
    layout->addWidget(m_usedLabel);
    layout->addWidget(m_tiersLabel);
    layout->addWidget(m_changeTiers, 0, Qt::AlignLeft);
    layout->addWidget(m_tierEditor);
    m_changeTiers->setCheckable(true);
    m_changeTiers->setProperty("link", true);
    auto* editor = new QVBoxLayout(m_tierEditor);
    editor->setContentsMargins(0, 0, 0, 0);
    editor->setSpacing(8);
    m_tierLayout->setSpacing(6);
    editor->addLayout(m_tierLayout);
    editor->addWidget(m_addTier, 0, Qt::AlignLeft);
    m_tierEditor->hide();
    connect(m_changeTiers, &QPushButton::toggled, m_tierEditor, &QWidget::setVisible);
    connect(m_addTier, &QPushButton::clicked, this, &TimelineCard::addTier);
    connect(m_automatic, &QCheckBox::clicked, this,
        [this](bool on) { change([on](auto& policy) { policy.automatic = on; }); });
    connect(m_minutes, &QSpinBox::valueChanged, this, [this](int minutes) {
        change([minutes](auto& policy) { policy.everyMinutes = static_cast<std::uint16_t>(minutes); });
    });
    connect(m_beforeChange, &QCheckBox::clicked, this,
        [this](bool on) { change([on](auto& policy) { policy.beforeChange = on; }); });
    connect(
        m_onClose, &QCheckBox::clicked, this, [this](bool on) { change([on](auto& policy) { policy.onClose = on; }); });
    connect(m_isBounded, &QCheckBox::clicked, this,
        [this](bool on) { change([on](auto& policy) { policy.budget = on ? usualBudget : 0; }); });
    connect(m_budget, &QDoubleSpinBox::valueChanged, this, [this](double size) {
        change([size](auto& policy) { policy.budget = static_cast<std::uint64_t>(std::llround(size * gib)); });
    });
    updateTexts();
}

void TimelineCard::setPolicy(app::TimelinePolicy const& policy)
{
    m_policy = policy;
    fill();
    updateTexts();
}

void TimelineCard::setUsed(std::optional<app::TimelineCosts> const& costs)
{
    m_used = costs;
    updateTexts();
}

void TimelineCard::change(std::function<void(app::TimelinePolicy&)> const& what)
{
    what(m_policy);
    fill();
    updateTexts();
}

void TimelineCard::fill()
{
    QSignalBlocker const minutes(m_minutes), budget(m_budget);
    m_automatic->setChecked(m_policy.automatic);
    m_minutes->setEnabled(m_policy.automatic);
    // What is shown may be rounded; only what a person types is taken.
    if (m_minutes->value() != m_policy.everyMinutes)
        m_minutes->setValue(m_policy.everyMinutes);
    m_beforeChange->setChecked(m_policy.beforeChange);
    m_onClose->setChecked(m_policy.onClose);
    m_isBounded->setChecked(m_policy.budget != 0);
    m_budget->setEnabled(m_policy.budget != 0);
    auto const size = static_cast<double>(m_policy.budget == 0 ? usualBudget : m_policy.budget) / gib;
    if (std::abs(m_budget->value() - size) > 0.05)
        m_budget->setValue(size);
    fillTiers();
}

void TimelineCard::fillTiers()
{
    auto const& tiers = m_policy.tiers;
    while (m_tierRows.size() > tiers.size()) {
        m_tierRows.back()->hide(); // its button may be the sender
        m_tierRows.back()->deleteLater();
        m_tierRows.pop_back();
    }
    while (m_tierRows.size() < tiers.size()) {
        auto* row = new TierRow(m_tierEditor);
        connect(row, &TierRow::changed, this, [this, row, place = m_tierRows.size()] {
            change([&](auto& policy) { policy.tiers[place] = row->tier(); });
        });
        connect(row, &TierRow::removed, this, [this, row] { removeTier(row); });
        m_tierRows.push_back(row);
        m_tierLayout->addWidget(row);
        row->show();
    }
    QWidget* last = m_changeTiers;
    for (std::size_t i = 0; i < tiers.size(); ++i) {
        m_tierRows[i]->setTier(tiers[i]);
        last = tabThrough(last, m_tierRows[i]);
    }
    auto more = m_policy;
    more.tiers.emplace_back();
    m_addTier->setEnabled(app::checkPolicy(more).has_value());
}

void TimelineCard::addTier()
{
    std::uint32_t longest = 0;
    for (auto const& tier : m_policy.tiers)
        longest = std::max(longest, tier.forHours);
    auto const* next = std::ranges::find_if(usualTiers, [&](auto const& tier) { return tier.forHours > longest; });
    change([&](auto& policy) { policy.tiers.push_back(next != std::end(usualTiers) ? *next : policy.tiers.back()); });
    m_tierRows.back()->interval()->setFocus(Qt::OtherFocusReason);
}

void TimelineCard::removeTier(TierRow* row)
{
    auto const place = std::ranges::find(m_tierRows, row) - m_tierRows.begin();
    auto const hadFocus = row->isAncestorOf(window()->focusWidget());
    change([&](auto& policy) { policy.tiers.erase(policy.tiers.begin() + place); });
    if (!hadFocus)
        return;
    auto const next = std::min(static_cast<std::size_t>(place), m_tierRows.size() - 1);
    auto* wanted = m_tierRows.empty() ? static_cast<QWidget*>(m_addTier) : m_tierRows[next]->removal();
    wanted->setFocus(Qt::OtherFocusReason);
}

QString TimelineCard::tiersText() const
{
    QStringList parts;
    for (auto const& tier : m_policy.tiers)
        parts += TierRow::words(tier);
    auto const others = tr("What you keep, name, note or pin stays until you delete it.");
    if (parts.isEmpty())
        return tr("Of these moments only the last one stays. %1").arg(others);
    return tr("Of these moments stay: %1. %2").arg(parts.join(QStringLiteral(", ")), others);
}

QString TimelineCard::usedText() const
{
    if (!m_used)
        return {};
    auto const total = m_used->total();
    auto const& onDisks = m_used->onDisks;
    auto text = !onDisks ? tr("They take %1 now, without what disks keep for them.").arg(bytesText(total))
        : !*onDisks      ? tr("They take %1 now, and what disks keep for them, which is not known: %2")
                          .arg(bytesText(total), problemFor(Task::ReadMoments, onDisks->error()).reason)
        : **onDisks == 0
        ? tr("They take %1 now.").arg(bytesText(total))
        : tr("They take %1 now; %2 of that is what disks keep for them.").arg(bytesText(total), bytesText(**onDisks));
    if (m_policy.budget != 0 && total > m_policy.budget) {
        text += QLatin1Char(' ')
            + tr("That is %1 too much: the oldest of those that the machine has kept by itself go first.")
                  .arg(bytesText(total - m_policy.budget));
    }
    return text;
}

void TimelineCard::updateTexts()
{
    m_automatic->setText(tr("Keep moments while the machine is &busy, every"));
    m_minutesLabel->setText(tr("minute(s)", nullptr, m_policy.everyMinutes));
    m_minutes->setAccessibleName(tr("Minutes between two moments"));
    m_beforeChange->setText(tr("Keep a moment before its settings c&hange, or its suspended state is thrown away"));
    m_onClose->setText(tr("Keep a moment when the program is c&losed"));
    m_isBounded->setText(tr("All moments &together take at most"));
    m_budget->setAccessibleName(tr("Most space for all moments, in GiB"));
    auto const used = usedText();
    m_usedLabel->setText(used);
    m_usedLabel->setVisible(!used.isEmpty());
    m_tiersLabel->setText(tiersText());
    m_changeTiers->setText(tr("Change how lon&g they stay"));
    m_addTier->setText(tr("Add another"));
    m_addTier->setIcon(icon(QStringLiteral("add")));
}

void TimelineCard::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
