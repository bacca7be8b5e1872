#pragma once

#include "app/usb/usb_rules.h"

#include <QWidget>

class QLabel;
class QLineEdit;
class QPushButton;

namespace ui {

/// Where a person writes which devices a rule is about, as chronoctl takes it. It knows no rules.
class UsbMatchField final : public QWidget {
    Q_OBJECT
public:
    explicit UsbMatchField(QWidget* parent = nullptr);

    /// With the focus; for others `instead` of these, or for a new rule.
    void open(std::optional<app::UsbMatch> const& instead);
    /// Empty also while it is not shown.
    std::optional<app::UsbMatch> instead() const;
    /// The same with what was entered, and is not taken.
    void openAgain(std::optional<app::UsbMatch> const& instead, app::UsbMatch const& entered);
    /// What was entered cannot be: it stays to be mended.
    void refuse(QString const& why, QString const& details);
    /// Something is written here that is neither taken nor given up.
    bool isWritten() const;
    /// To what is written; `isInTheWay`: something else was asked for, and it says what comes first.
    void comeBack(bool isInTheWay);
    void setTabOrderAfter(QWidget* before);

signals:
    void entered(app::UsbMatch match);
    /// After it says so, and has grown by that.
    void refused();
    void left();

protected:
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void enter();
    void tell(QString const& text, QString const& details = {});
    void updateTexts();

    std::optional<app::UsbMatch> m_instead;
    QString m_given; // what the person began with
    QLabel *m_title, *m_told, *m_hint;
    QLineEdit* m_match;
    QPushButton *m_back, *m_go;
};

}
