#pragma once

#include <QPointer>
#include <utility>

namespace ui {

/// `function`, called only while `owner` lives: for answers that may come after a window is gone.
template<typename Function>
auto guarded(QObject* owner, Function function)
{
    return [owner = QPointer<QObject>(owner), function = std::move(function)](auto&&... arguments) mutable {
        if (owner)
            function(std::forward<decltype(arguments)>(arguments)...);
    };
}

}
