#pragma once

#include <QScrollArea>
#include <QVBoxLayout>
#include <QWidget>

class QLabel;
class QToolButton;

namespace ui {

/// The frame of the window's pages: a title with a way back, a scrolling middle of readable width, buttons below.
class PageFrame : public QWidget {
    Q_OBJECT
public:
    explicit PageFrame(QWidget* parent = nullptr);

    void setTitle(QString const& title);

signals:
    void backRequested();

protected:
    void showEvent(QShowEvent* event) override;
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    virtual void updateTexts() { }

    QVBoxLayout* above() const { return m_above; } ///< under the title, does not scroll
    QVBoxLayout* content() const { return m_content; }
    QHBoxLayout* footer() const { return m_footer; }

    /// A heading over a card, and the card to put rows into.
    QVBoxLayout* addCard(QLabel*& heading);
    void toTop();
    /// Scrolls to it.
    void ensureVisible(QWidget* part);

private:
    QToolButton* m_back;
    QLabel* m_title;
    QScrollArea* m_scroll;
    QVBoxLayout *m_above, *m_content;
    QHBoxLayout* m_footer;
};

}
