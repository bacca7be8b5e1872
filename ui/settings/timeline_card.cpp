#include "ui/settings/timeline_card.h"

#include "ui/widgets/words.h"

#include <QCheckBox>
#include <QDoubleSpinBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QVBoxLayout>
#include <cmath>

namespace ui {

namespace {

constexpr double gib = 1u << 30;
constexpr std::uint64_t usualBudget = app::TimelinePolicy {}.budget;

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
      m_automatic(new QCheckBox),
      m_beforeChange(new QCheckBox),
      m_onClose(new QCheckBox),
      m_isBounded(new QCheckBox),
      m_minutes(new QSpinBox),
      m_budget(new QDoubleSpinBox),
      m_minutesLabel(new QLabel),
      m_usedLabel(quietLabel()),
      m_tiersLabel(quietLabel())
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

void TimelineCard::setUsed(std::optional<quint64> bytes)
{
    m_used = bytes;
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
}

QString TimelineCard::tiersText() const
{
    QStringList parts;
    for (auto const& tier : m_policy.tiers) {
        auto const age = tier.forHours % 24 == 0 ? tr("%n day(s)", nullptr, static_cast<int>(tier.forHours / 24))
                                                 : tr("%n hour(s)", nullptr, static_cast<int>(tier.forHours));
        parts += tier.everyMinutes == 0 ? tr("all of them for %1").arg(age)
            : tier.everyMinutes == 60   ? tr("one an hour for %1").arg(age)
            : tier.everyMinutes == 1440
            ? tr("one a day for %1").arg(age)
            : tr("one every %n minute(s) for %1", nullptr, static_cast<int>(tier.everyMinutes)).arg(age);
    }
    auto const others = tr("What you keep, name, note or pin stays until you delete it.");
    if (parts.isEmpty())
        return tr("Of these moments only the last one stays. %1").arg(others);
    return tr("Of these moments stay: %1. %2").arg(parts.join(QStringLiteral(", ")), others);
}

void TimelineCard::updateTexts()
{
    m_automatic->setText(tr("Keep moments while the machine is &busy, every"));
    m_minutesLabel->setText(tr("minute(s)", nullptr, m_policy.everyMinutes));
    m_minutes->setAccessibleName(tr("Minutes between two moments"));
    m_beforeChange->setText(tr("Keep a moment before its settings c&hange"));
    m_onClose->setText(tr("Keep a moment when the program is c&losed"));
    m_isBounded->setText(tr("All moments &together take at most"));
    m_budget->setAccessibleName(tr("Most space for all moments, in GiB"));
    auto used = m_used ? tr("They take %1 now.").arg(bytesText(*m_used)) : QString();
    if (m_used && m_policy.budget != 0 && *m_used > m_policy.budget) {
        used += QLatin1Char(' ')
            + tr("That is %1 too much: the oldest of those that the machine has kept by itself go first.")
                  .arg(bytesText(*m_used - m_policy.budget));
    }
    m_usedLabel->setText(used);
    m_usedLabel->setVisible(!used.isEmpty());
    m_tiersLabel->setText(tiersText());
}

void TimelineCard::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
