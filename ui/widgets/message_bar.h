#pragma once

#include "ui/widgets/problem.h"

#include <QFrame>
#include <functional>
#include <optional>

class QLabel;
class QPushButton;
class QToolButton;
class QPlainTextEdit;
class QHBoxLayout;

namespace ui {

/// A message within the page, where other programs would open a box: what happened, why, what to do, a button that does
/// it, details on request. Hidden while there is nothing to say.
class MessageBar final : public QFrame {
    Q_OBJECT
public:
    explicit MessageBar(QWidget* parent = nullptr);

    void showProblem(Problem const& problem, std::function<void()> remedy = {});
    /// A plain sentence, with an optional button. A problem that it covers is there again when it goes.
    void showNotice(QString const& text, QString const& button = {}, std::function<void()> action = {});
    struct Choice {
        QString button;
        std::function<void()> action;
    };
    void showChoice(QString const& text, Choice first, Choice second);
    void dismiss();
    void dismissNotice();
    /// Shown, or covered.
    bool hasProblem() const { return m_problem.has_value(); }
    QString text() const;

protected:
    void changeEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    struct Message {
        QString iconName, text, details;
        Choice first, second;
    };

    void present(Message const& message);
    bool isProblem() const;
    void dismissShown();
    void updateTexts();
    void updateColors();

    Message m_message; // shown
    std::optional<Message> m_problem;
    QColor m_tint;
    QLabel *m_icon, *m_text;
    QPushButton *m_action, *m_second, *m_details, *m_copy;
    QToolButton* m_close;
    QPlainTextEdit* m_detailsView;
    QHBoxLayout *m_row, *m_below;
};

}
