#include "ui/theme/icons.h"

#include <QApplication>
#include <QFile>
#include <QIconEngine>
#include <QMenu>
#include <QPainter>
#include <QPalette>
#include <QPixmapCache>
#include <QSvgRenderer>

static void initialiseResources()
{
    Q_INIT_RESOURCE(chronovisor);
}

namespace ui {

namespace {

/// A menu is what is being drawn, or was drawn last. Qt asks for the same icon (QIcon::Active) for the highlighted
/// entry of a menu as for a tool button under the pointer, which has no highlight behind it.
bool isMenuDrawn = false;

class MenuWatch final : public QObject {
public:
    using QObject::QObject;
    bool eventFilter(QObject* watched, QEvent* event) override
    {
        if (event->type() == QEvent::Paint)
            isMenuDrawn = qobject_cast<QMenu*>(watched) != nullptr;
        return false;
    }
};

/// Draws an SVG whose strokes are `currentColor`, anew for every colour and size.
class SymbolicEngine final : public QIconEngine {
public:
    SymbolicEngine(QString name, QColor color) : m_name(std::move(name)), m_color(color) { }

    void paint(QPainter* painter, QRect const& rect, QIcon::Mode mode, QIcon::State state) override
    {
        auto const ratio = painter->device()->devicePixelRatio();
        painter->drawPixmap(rect, scaledPixmap(rect.size() * ratio, mode, state, ratio));
    }

    QPixmap pixmap(QSize const& size, QIcon::Mode mode, QIcon::State state) override
    {
        return scaledPixmap(size, mode, state, 1);
    }

    QPixmap scaledPixmap(QSize const& size, QIcon::Mode mode, QIcon::State, qreal) override
    {
        auto color = m_color;
        auto const palette = QApplication::palette();
        if (mode == QIcon::Disabled)
            color = palette.color(QPalette::Disabled, QPalette::ButtonText);
        else if (mode == QIcon::Active && isMenuDrawn)
            color = palette.color(QPalette::HighlightedText);
        else if (!color.isValid())
            color = palette.color(mode == QIcon::Selected ? QPalette::HighlightedText : QPalette::ButtonText);
        auto const key
            = QStringLiteral("symbolic/%1/%2/%3x%4").arg(m_name, color.name()).arg(size.width()).arg(size.height());
        QPixmap pixmap;
        if (QPixmapCache::find(key, &pixmap))
            return pixmap;
        QFile file(QStringLiteral(":/icons/%1.svg").arg(m_name));
        pixmap = QPixmap(size);
        pixmap.fill(Qt::transparent);
        if (file.open(QIODevice::ReadOnly)) {
            QSvgRenderer renderer(file.readAll().replace("currentColor", color.name().toLatin1()));
            QPainter painter(&pixmap);
            painter.setRenderHint(QPainter::Antialiasing);
            painter.setOpacity(mode == QIcon::Disabled ? 0.6 : 1);
            renderer.render(&painter, QRectF(QPointF(0, 0), size));
        }
        QPixmapCache::insert(key, pixmap);
        return pixmap;
    }

    QIconEngine* clone() const override { return new SymbolicEngine(m_name, m_color); }

private:
    QString m_name;
    QColor m_color;
};

}

QIcon icon(QString const& name, QColor const& color)
{
    initialiseResources();
    return QIcon(new SymbolicEngine(name, color));
}

void followMenus(QApplication& application)
{
    application.installEventFilter(new MenuWatch(&application));
}

QIcon applicationIcon()
{
    initialiseResources();
    return QIcon(QStringLiteral(":/icons/chronovisor.svg"));
}

}
