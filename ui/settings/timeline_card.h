#pragma once

#include "app/session/timeline_session.h"

#include <QWidget>
#include <functional>
#include <optional>

class QCheckBox;
class QDoubleSpinBox;
class QLabel;
class QPushButton;
class QSpinBox;
class QVBoxLayout;

namespace ui {

class TierRow;

/// When a machine keeps moments by itself, how long those stay, and what all of its moments may take. A value to edit;
/// who has the card stores it.
class TimelineCard final : public QWidget {
    Q_OBJECT
public:
    explicit TimelineCard(QWidget* parent = nullptr);

    void setPolicy(app::TimelinePolicy const& policy);
    app::TimelinePolicy const& policy() const { return m_policy; }
    /// What the moments take now; nothing: it is not known yet.
    void setUsed(std::optional<app::TimelineCosts> const& costs);

protected:
    void changeEvent(QEvent* event) override;

private:
    void change(std::function<void(app::TimelinePolicy&)> const& what);
    void fill();
    void fillTiers();
    void addTier();
    void removeTier(TierRow* row);
    void updateTexts();
    QString tiersText() const;
    QString usedText() const;

    app::TimelinePolicy m_policy;
    std::optional<app::TimelineCosts> m_used;
    QCheckBox *m_automatic, *m_beforeChange, *m_onClose, *m_isBounded;
    QSpinBox* m_minutes;
    QDoubleSpinBox* m_budget;
    QLabel *m_minutesLabel, *m_usedLabel, *m_tiersLabel;
    QPushButton *m_changeTiers, *m_addTier;
    QWidget* m_tierEditor;
    QVBoxLayout* m_tierLayout;
    std::vector<TierRow*> m_tierRows; // in the policy's order
};

}
