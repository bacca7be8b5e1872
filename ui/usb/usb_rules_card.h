#pragma once

#include "app/library/library.h"

#include <QWidget>
#include <map>

class QLabel;
class QMenu;
class QPushButton;
class QVBoxLayout;

namespace ui {

class UsbMatchField;
class UsbRuleRow;

/// The person's rules for USB devices, to look at and change; each change holds at once.
class UsbRulesCard final : public QWidget {
    Q_OBJECT
public:
    explicit UsbRulesCard(app::Library& library, QWidget* parent = nullptr);

    void focusFirst();

signals:
    /// Empty: that went well.
    void failed(std::optional<vmm::Error> error);
    /// A person asked for it: it should be in view.
    void partShown(QWidget* part);

protected:
    void changeEvent(QEvent* event) override;
    void showEvent(QShowEvent* event) override;

private:
    void fill();
    void fillRows();
    UsbRuleRow* makeRow();
    void fillAddMenu();
    void offer(QMenu* menu, QString const& text, app::UsbMatch match, QString const& name);
    /// Empty: for a new rule.
    void openField(std::optional<app::UsbMatch> const& instead);
    /// `next` gets the focus, where the field had it.
    void closeField(QWidget* next);
    void leaveField();
    void enter(app::UsbMatch const& match);
    /// `refused`: it could not be saved, as failed() tells.
    void change(std::function<vmm::Result<>(app::UsbRules&)> what, std::function<void()> refused = {});
    void updateTexts();

    app::Library& m_library;
    QLabel *m_hint, *m_problem;
    QVBoxLayout* m_layout;                     // of the rows
    std::map<std::string, UsbRuleRow*> m_rows; // by usbMatchText()
    QPushButton* m_add;
    QMenu* m_addMenu;
    UsbMatchField* m_field;
    std::optional<app::UsbMatch> m_added; // its choice is what a person wants next
};

}
