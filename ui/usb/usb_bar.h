#pragma once

#include "app/usb/usb_question.h"

#include <QFrame>
#include <QString>
#include <deque>

class QBoxLayout;
class QCheckBox;
class QLabel;
class QPushButton;

namespace ui {

/// A quiet bar over a machine's display with one question after the other. It takes nobody's focus by itself, and the
/// display keeps its size.
class UsbBar final : public QFrame {
    Q_OBJECT
public:
    explicit UsbBar(QWidget* parent = nullptr);

    void setMachine(QString const& name);

    /// Takes the place of an earlier question about the same device.
    void ask(app::UsbQuestion question);
    /// As ask(), in front of the others and with the focus: a person waits for it.
    void askNow(app::UsbQuestion question);
    /// The device at that port is gone, or it was decided elsewhere.
    void withdraw(QString const& port);
    bool isAsking() const { return !m_questions.empty(); }
    bool isAsking(QString const& port) const;
    app::UsbQuestion const& question() const { return m_questions.front(); }
    /// At the top of `area`, as wide as that allows.
    void place(QRect area);
    void focusAnswer();

signals:
    void answered(app::UsbQuestion question, bool yes, bool always);
    /// The focus was here, and now there is nothing to answer.
    void done();

protected:
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

private:
    void answer(bool yes);
    void drop(std::string const& port);
    void showFirst();
    void updateTexts();
    void updateLook();

    std::deque<app::UsbQuestion> m_questions;
    QString m_machine;
    std::string m_shown; // the port that the first of them is about
    QRect m_area;
    QLabel *m_icon, *m_text, *m_more;
    QCheckBox* m_always;
    QPushButton *m_yes, *m_no;
    QBoxLayout* m_answers;
};

}
