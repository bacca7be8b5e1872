#pragma once

#include "app/session/timeline_session.h"

#include <QWidget>

class QComboBox;
class QLabel;
class QSpinBox;
class QToolButton;

namespace ui {

/// "one an hour for 30 days": which of the moments that a machine keeps by itself stay for how long.
class TierRow final : public QWidget {
    Q_OBJECT
public:
    using Tier = app::TimelineTier;

    explicit TierRow(QWidget* parent = nullptr);

    void setTier(Tier const& tier);
    Tier const& tier() const { return m_tier; }
    /// As a part of a sentence.
    static QString words(Tier const& tier);
    QComboBox* interval() const { return m_interval; }
    QToolButton* removal() const { return m_remove; }

signals:
    void changed();
    void removed();

protected:
    void changeEvent(QEvent* event) override;

private:
    void takeAge();
    void nameUnits();
    void fill();
    void updateTexts();

    Tier m_tier;
    std::vector<std::uint32_t> m_intervals; // minutes, of m_interval's items
    QComboBox *m_interval, *m_unit;
    QSpinBox* m_age;
    QLabel* m_for;
    QToolButton* m_remove;
};

}
