#pragma once

#include "app/library/library.h"

#include <QWidget>

class QComboBox;
class QLabel;
class QMenu;
class QPushButton;

namespace ui {

/// The person's rules for USB devices, to look at and change; each change holds at once.
class UsbRulesCard final : public QWidget {
    Q_OBJECT
public:
    explicit UsbRulesCard(app::Library& library, QWidget* parent = nullptr);

    void focusFirst();

signals:
    /// Empty: that went well.
    void failed(std::optional<vmm::Error> error);

protected:
    void changeEvent(QEvent* event) override;
    void showEvent(QShowEvent* event) override;

private:
    void fill();
    void addRow(app::UsbRule const& rule);
    QComboBox* makeChoice(app::UsbRule const& rule, QString const& words);
    void fillAddMenu();
    void offer(QMenu* menu, QString const& text, app::UsbMatch match, QString const& name);
    void change(std::function<vmm::Result<>(app::UsbRules&)> what);
    void updateTexts();

    app::Library& m_library;
    QLabel *m_hint, *m_problem;
    QWidget* m_rows;
    QPushButton* m_add;
    QMenu* m_addMenu;
    std::optional<app::UsbMatch> m_added; // its choice is what a person wants next
};

}
