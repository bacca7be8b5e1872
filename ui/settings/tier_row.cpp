#include "ui/settings/tier_row.h"

#include "ui/theme/icons.h"

#include <QComboBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QToolButton>
#include <algorithm>

namespace ui {

namespace {

constexpr std::uint32_t hour = 60, day = 24 * hour; // minutes
constexpr std::uint32_t usualIntervals[] = { 0, 15, hour, 6 * hour, day, 7 * day };
constexpr int hoursOfUnit[] = { 1, 24 };

QString intervalWords(std::uint32_t minutes)
{
    switch (minutes) {
    case 0: return TierRow::tr("all of them");
    case hour: return TierRow::tr("one an hour");
    case day: return TierRow::tr("one a day");
    case 7 * day: return TierRow::tr("one a week");
    default: break;
    }
    return minutes % hour == 0 ? TierRow::tr("one every %n hour(s)", nullptr, static_cast<int>(minutes / hour))
                               : TierRow::tr("one every %n minute(s)", nullptr, static_cast<int>(minutes));
}

}

TierRow::TierRow(QWidget* parent)
    : QWidget(parent),
      m_interval(new QComboBox),
      m_unit(new QComboBox),
      m_age(new QSpinBox),
      m_for(new QLabel),
      m_remove(new QToolButton)
{
    m_remove->setFocusPolicy(Qt::StrongFocus);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(8);
    layout->addWidget(m_interval);
    layout->addWidget(m_for);
    layout->addWidget(m_age);
    m_unit->addItems({ QString(), QString() });
    layout->addWidget(m_unit);
    layout->addWidget(m_remove);
    layout->addStretch(1);
    connect(m_interval, &QComboBox::activated, this, [this](int index) {
        m_tier.everyMinutes = m_intervals[static_cast<std::size_t>(index)];
        emit changed();
    });
    connect(m_age, &QSpinBox::valueChanged, this, &TierRow::takeAge);
    connect(m_unit, &QComboBox::activated, this, &TierRow::takeAge);
    connect(m_remove, &QToolButton::clicked, this, &TierRow::removed);
    updateTexts();
}

void TierRow::setTier(Tier const& tier)
{
    if (m_tier == tier)
        return; // and "48 hours" stays what was typed
    m_tier = tier;
    fill();
}

QString TierRow::words(Tier const& tier)
{
    auto const hours = static_cast<int>(tier.forHours);
    return tr("%1 for %2", "one an hour, 30 days")
        .arg(intervalWords(tier.everyMinutes),
            hours % 24 == 0 ? tr("%n day(s)", nullptr, hours / 24) : tr("%n hour(s)", nullptr, hours));
}

void TierRow::takeAge()
{
    auto const unit = hoursOfUnit[m_unit->currentIndex()];
    m_tier.forHours = static_cast<std::uint32_t>(m_age->value() * unit);
    nameUnits();
    emit changed();
}

void TierRow::nameUnits()
{
    m_unit->setItemText(0, tr("hour(s)", "behind its number", m_age->value()));
    m_unit->setItemText(1, tr("day(s)", "behind its number", m_age->value()));
}

void TierRow::fill()
{
    QSignalBlocker const interval(m_interval), unit(m_unit), age(m_age);
    m_intervals.assign(std::begin(usualIntervals), std::end(usualIntervals));
    if (std::ranges::find(m_intervals, m_tier.everyMinutes) == m_intervals.end())
        m_intervals.insert(std::ranges::upper_bound(m_intervals, m_tier.everyMinutes), m_tier.everyMinutes);
    m_interval->clear();
    for (auto const minutes : m_intervals)
        m_interval->addItem(intervalWords(minutes));
    m_interval->setCurrentIndex(
        static_cast<int>(std::ranges::find(m_intervals, m_tier.everyMinutes) - m_intervals.begin()));
    auto const isDays = m_tier.forHours % 24 == 0;
    m_unit->setCurrentIndex(isDays ? 1 : 0);
    m_age->setRange(1, static_cast<int>(app::longestTier / 24));
    m_age->setValue(static_cast<int>(m_tier.forHours) / hoursOfUnit[m_unit->currentIndex()]);
    nameUnits();
}

void TierRow::updateTexts()
{
    m_for->setText(tr("for", "one an hour for 30 days"));
    m_interval->setAccessibleName(tr("Which moments stay"));
    m_age->setAccessibleName(tr("How long they stay"));
    m_unit->setAccessibleName(tr("Hours or days"));
    m_remove->setIcon(icon(QStringLiteral("trash")));
    m_remove->setToolTip(tr("Do not keep these"));
    m_remove->setAccessibleName(m_remove->toolTip());
    fill();
}

void TierRow::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange || event->type() == QEvent::PaletteChange)
        updateTexts();
}

}
