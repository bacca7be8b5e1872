#include "ui/timeline/timeline_accessible.h"

#include "ui/timeline/moment_words.h"
#include "ui/timeline/timeline_axis.h"

#include <QCoreApplication>
#include <QPointer>
#include <span>

namespace ui {

namespace {

struct Words {
    Q_DECLARE_TR_FUNCTIONS(ui::TimelineAccessible)
};

/// What can be done with a moment, or with now. `name` is for programs, `words` for people, and some have no key.
struct MomentAction {
    char const *name, *words, *key;
    TimelineAxis::Request request;
};

/// Where one is deleted.
constexpr MomentAction bringBack { "Bring back",
    QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Bring back what was deleted last"), "Ctrl+Z",
    TimelineAxis::Request::Undo };

constexpr MomentAction momentActions[] = {
    { "Go back", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Go back to this moment"), "Return",
        TimelineAxis::Request::Go },
    { "Fork", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Make another machine from this moment"), "F",
        TimelineAxis::Request::Fork },
    { "Compare", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Mark for comparing, or compare with the marked one"),
        "Space", TimelineAxis::Request::Mark },
    { "Rename", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Rename"), "R", TimelineAxis::Request::Rename },
    { "Note", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Note"), "N", TimelineAxis::Request::Note },
    { "Pin", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Pin or unpin"), "P", TimelineAxis::Request::Pin },
    { "Export", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Export as one file"), "E", TimelineAxis::Request::Export },
    { "Export folder", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Export as a folder"), "",
        TimelineAxis::Request::ExportFolder },
    { "Delete", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Delete"), "Delete", TimelineAxis::Request::Remove },
    bringBack,
};

constexpr MomentAction nowActions[] = {
    { "Keep", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Keep this moment"), "M", TimelineAxis::Request::Keep },
    { "Fork", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Keep this moment, and make another machine from it"), "F",
        TimelineAxis::Request::Fork },
    { "Import", QT_TRANSLATE_NOOP("ui::TimelineAccessible", "Import a moment as a machine"), "",
        TimelineAxis::Request::Import },
    bringBack,
};

/// A moment of the axis, or now behind the last.
class MomentAccessible final : public QAccessibleInterface, public QAccessibleActionInterface {
public:
    MomentAccessible(TimelineAxis* axis, int index) : m_axis(axis), m_index(index) { }

    bool isValid() const override { return m_axis != nullptr && m_index <= m_axis->count(); }
    QObject* object() const override { return nullptr; }
    QAccessibleInterface* parent() const override { return QAccessible::queryAccessibleInterface(m_axis); }
    QAccessibleInterface* child(int) const override { return nullptr; }
    QAccessibleInterface* childAt(int, int) const override { return nullptr; }
    int childCount() const override { return 0; }
    int indexOfChild(QAccessibleInterface const*) const override { return -1; }
    QAccessible::Role role() const override { return QAccessible::ListItem; }
    void setText(QAccessible::Text, QString const&) override { }

    int index() const { return m_index; }

    QString text(QAccessible::Text kind) const override
    {
        if (!isValid())
            return {};
        auto const& timeline = m_axis->timeline();
        if (isNow())
            return kind == QAccessible::Name       ? Words::tr("Now")
                : kind == QAccessible::Description ? cameFrom(timeline.moment(timeline.present()))
                                                   : QString();
        auto const& moment = m_axis->entry(m_index);
        switch (kind) {
        case QAccessible::Name:
            return m_axis->marked() == moment.id ? Words::tr("%1, marked for comparing").arg(momentSpoken(moment))
                                                 : momentSpoken(moment);
        case QAccessible::Description: {
            QStringList parts { momentDetails(moment, timeline), cameFrom(timeline.moment(moment.parent)) };
            parts.removeAll(QString());
            return parts.join(QStringLiteral(" · "));
        }
        default: return {};
        }
    }
    QRect rect() const override
    {
        if (!isValid())
            return {};
        auto const rect = m_axis->rectOf(m_index);
        return { m_axis->viewport()->mapToGlobal(rect.topLeft()), rect.size() };
    }
    QAccessible::State state() const override
    {
        QAccessible::State state;
        if (!isValid()) {
            state.invalid = true;
            return state;
        }
        auto const isSelected = m_axis->selectedIndex() == m_index;
        state.selectable = state.focusable = true;
        state.selected = isSelected;
        state.focused = isSelected && m_axis->hasFocus();
        state.invisible = !m_axis->isVisible();
        state.offscreen = !m_axis->viewport()->rect().intersects(m_axis->rectOf(m_index));
        return state;
    }

    void* interface_cast(QAccessible::InterfaceType type) override
    {
        return type == QAccessible::ActionInterface ? static_cast<QAccessibleActionInterface*>(this) : nullptr;
    }
    /// To press is to look at it; the others are what the keys and the menu do.
    QStringList actionNames() const override
    {
        QStringList names { pressAction(), showMenuAction(), setFocusAction() };
        for (auto const& action : actions())
            names += QLatin1String(action.name);
        return names;
    }
    QString localizedActionName(QString const& name) const override
    {
        auto const* action = actionOf(name);
        return action != nullptr ? Words::tr(action->words) : QAccessibleActionInterface::localizedActionName(name);
    }
    QStringList keyBindingsForAction(QString const& name) const override
    {
        auto const* action = actionOf(name);
        return action != nullptr && *action->key != 0 ? QStringList(QLatin1String(action->key)) : QStringList();
    }
    void doAction(QString const& name) override
    {
        if (!isValid())
            return;
        m_axis->setFocus(Qt::OtherFocusReason);
        m_axis->selectIndex(m_index);
        if (name == showMenuAction())
            emit m_axis->requested(TimelineAxis::Request::Menu);
        else if (auto const* action = actionOf(name))
            emit m_axis->requested(action->request);
    }

private:
    bool isNow() const { return m_axis != nullptr && m_index == m_axis->count(); }
    std::span<MomentAction const> actions() const
    {
        auto const all = isNow() ? std::span<MomentAction const>(nowActions) : momentActions;
        bool const isOneDeleted = m_axis != nullptr && !m_axis->timeline().removed().empty();
        return isOneDeleted ? all : all.first(all.size() - 1); // the last one is to bring it back
    }
    MomentAction const* actionOf(QString const& name) const
    {
        for (auto const& action : actions()) {
            if (name == QLatin1String(action.name))
                return &action;
        }
        return nullptr;
    }
    /// The lines between moments, for who does not see them.
    static QString cameFrom(app::MomentEntry const* moment)
    {
        return moment == nullptr ? QString() : Words::tr("came from “%1”").arg(momentSpoken(*moment));
    }

    QPointer<TimelineAxis> m_axis;
    int m_index;
};

}

TimelineAccessible::TimelineAccessible(TimelineAxis* axis) : QAccessibleWidget(axis, QAccessible::List) { }

TimelineAccessible::~TimelineAccessible()
{
    for (auto const& [index, id] : m_children)
        QAccessible::deleteAccessibleInterface(id);
}

TimelineAxis& TimelineAccessible::axis() const
{
    return *static_cast<TimelineAxis*>(widget());
}

int TimelineAccessible::childCount() const
{
    return axis().count() + 1;
}

QAccessibleInterface* TimelineAccessible::child(int index) const
{
    if (index < 0 || index >= childCount())
        return nullptr;
    auto const known = m_children.find(index);
    if (known != m_children.end())
        return QAccessible::accessibleInterface(known->second);
    auto* made = new MomentAccessible(&axis(), index);
    m_children[index] = QAccessible::registerAccessibleInterface(made);
    return made;
}

int TimelineAccessible::indexOfChild(QAccessibleInterface const* child) const
{
    auto const* moment = dynamic_cast<MomentAccessible const*>(child);
    return moment != nullptr ? moment->index() : -1;
}

QAccessibleInterface* TimelineAccessible::childAt(int x, int y) const
{
    auto const at = axis().viewport()->mapFromGlobal(QPoint(x, y));
    if (!axis().viewport()->rect().contains(at))
        return nullptr;
    auto const index = axis().indexAt(at);
    return axis().rectOf(index).contains(at) ? child(index) : nullptr;
}

QAccessibleInterface* TimelineAccessible::focusChild() const
{
    return axis().hasFocus() ? child(axis().selectedIndex()) : nullptr;
}

void installTimelineAccessibility()
{
    static bool const installed = [] {
        QAccessible::installFactory([](QString const&, QObject* object) -> QAccessibleInterface* {
            auto* axis = qobject_cast<TimelineAxis*>(object);
            return axis != nullptr ? new TimelineAccessible(axis) : nullptr;
        });
        return true;
    }();
    Q_UNUSED(installed)
}

}
