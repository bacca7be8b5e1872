#pragma once

#include "app/usb/usb_rules.h"

#include <QWidget>
#include <utility>
#include <vector>

class QComboBox;
class QLabel;
class QToolButton;

namespace ui {

class ElidedLabel;

/// A row of UsbRulesCard: which devices a rule is about, and what happens with them. It shows what it is given, and
/// asks for what a person chooses.
class UsbRuleRow final : public QWidget {
    Q_OBJECT
public:
    /// By their ids, with the names that people know them by.
    using Machines = std::vector<std::pair<QString, QString>>;

    explicit UsbRuleRow(QWidget* parent = nullptr);

    void setRule(app::UsbRule const& rule, Machines const& machines);
    QComboBox* choice() const { return m_choice; }
    QToolButton* editing() const { return m_edit; }
    QToolButton* removal() const { return m_remove; }

signals:
    void changed(app::UsbRule rule);
    /// Its devices are to be others.
    void editWanted(app::UsbMatch match);
    void removed(app::UsbMatch match);

protected:
    void changeEvent(QEvent* event) override;

private:
    void fillChoice();
    void updateTexts();

    app::UsbRule m_rule;
    Machines m_machines;
    std::vector<std::pair<app::UsbAction, QString>> m_choices; // of m_choice's items
    QLabel *m_picture, *m_meant;
    ElidedLabel* m_name;
    QComboBox* m_choice;
    QToolButton *m_edit, *m_remove;
};

}
