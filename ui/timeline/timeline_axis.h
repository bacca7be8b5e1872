#pragma once

#include "app/session/timeline_session.h"
#include "ui/timeline/timeline_layout.h"

#include <QAbstractScrollArea>
#include <QBasicTimer>
#include <QCache>
#include <QPixmap>

namespace ui {

/// The axis of a machine's past: moments with their pictures as there is room, a lane for each branch, and now at the
/// head. One of them is selected, or now is; keys and pointer move that, and ask for what can be done with it. It
/// paints, and asks pictures for, only what is visible.
class TimelineAxis final : public QAbstractScrollArea {
    Q_OBJECT
public:
    /// What a person asks for, of the selected moment where it is about one.
    enum class Request : std::uint8_t {
        Keep,
        Go,
        Fork,
        Remove,
        Undo,
        Rename,
        Note,
        Pin,
        Mark,
        Export,
        ExportFolder,
        Import,
        Menu,
        Leave,
    };
    Q_ENUM(Request)

    explicit TimelineAxis(app::TimelineSession& timeline, QWidget* parent = nullptr);

    app::TimelineSession& timeline() const { return m_timeline; }
    /// Empty: now.
    QString const& selected() const { return m_selected; }
    app::MomentEntry const* selectedMoment() const { return m_timeline.moment(m_selected); }
    void select(QString const& id);
    /// The one that others are compared with; empty: none.
    QString const& marked() const { return m_marked; }
    void setMarked(QString const& id);
    void zoomBy(double factor);
    double zoom() const { return m_scale; }

    /// Of the moments in the order of their times; count() is now's.
    int count() const { return m_layout.count(); }
    int selectedIndex() const;
    app::MomentEntry const& entry(int index) const { return m_timeline.moments()[static_cast<std::size_t>(index)]; }
    void selectIndex(int index);
    /// In the viewport.
    QRect rectOf(int index) const;
    int indexAt(QPoint position) const;
    TimelineLayout const& layoutOfMoments() const { return m_layout; }

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

signals:
    void selectionChanged(QString id);
    void requested(ui::TimelineAxis::Request request);

protected:
    bool event(QEvent* event) override;
    bool viewportEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void changeEvent(QEvent* event) override;
    void timerEvent(QTimerEvent* event) override;
    void showEvent(QShowEvent* event) override;

private:
    struct Look;
    static constexpr int nowIndex = TimelineLayout::none;

    void arrange();
    void updateScale();
    void updateScrollBars();
    void moveTo(int node);
    void showSelected();
    void scrub(QPoint position);
    bool moveByKey(int key);
    std::optional<Request> requestOf(QKeyEvent const& event) const;
    double smallestScale() const;
    double xOf(int node) const;
    double xOfNow() const;
    int laneTop(int lane) const;
    int laneAt(int y) const;

    // timeline_painting.cpp
    void paintLines(QPainter& painter, Look const& look) const;
    void paintMoments(QPainter& painter, Look const& look);
    void paintPicture(QPainter& painter, Look const& look, int node, QRectF const& frame);
    void paintDot(QPainter& painter, Look const& look, int node) const;
    void paintNames(QPainter& painter, Look const& look) const;
    void paintTimes(QPainter& painter, Look const& look) const;
    void paintNow(QPainter& painter, Look const& look) const;
    void paintPlayhead(QPainter& painter, Look const& look) const;
    QPixmap pictureOf(QString const& id, QSize size, qreal ratio);
    std::vector<int> visibleNodes() const;
    std::vector<int> nodesWithPicture(std::vector<int> const& visible) const;

    app::TimelineSession& m_timeline;
    TimelineLayout m_layout;
    std::map<QString, int> m_index;
    QString m_selected, m_marked;
    int m_hovered = nowIndex;
    double m_scale = 0;
    bool m_isZoomed = false; // by a person
    bool m_atEnd = true;     // what is new comes into sight
    QCache<QString, QPixmap> m_pixmaps;
    QBasicTimer m_edgeTimer; // the pointer is dragged beyond an edge
    QPoint m_dragged;
};

}
