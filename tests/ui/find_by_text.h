#pragma once

#include <QLabel>
#include <QPushButton>
#include <algorithm>

/// What a person finds on a page by reading it; shortcuts' letters are not read.
namespace tests {

inline QPushButton* button(QWidget* page, QString text)
{
    text.remove('&');
    for (auto* one : page->findChildren<QPushButton*>()) {
        if (one->text().remove('&') == text && one->isVisibleTo(page))
            return one;
    }
    qFatal("there is no button %s", qPrintable(text));
}

/// A label has this in its text.
inline bool shows(QWidget const* page, QString const& text)
{
    return std::ranges::any_of(page->findChildren<QLabel*>(),
        [&](auto const* label) { return label->text().contains(text) && label->isVisibleTo(page); });
}

}
