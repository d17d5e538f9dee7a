"""The map as one page: points on a canvas, the document under the pointer beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.tools.html import embedded, escaped, write_page

_STYLE = """
body{max-width:90rem}#all{display:flex;gap:1rem;flex-wrap:wrap}canvas{border:1px solid #ccc;touch-action:none}
#side{flex:1;min-width:20rem;max-width:34rem}#text{white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;
background:#f5f5f5;padding:.6rem;max-height:22rem;overflow:auto}.key{display:inline-block;width:.8rem;height:.8rem;
margin:0 .3rem 0 .8rem}#legend{max-height:14rem;overflow:auto}
"""

_SCRIPT = """
const canvas=document.getElementById('map'),pen=canvas.getContext('2d'),choice=document.getElementById('by');
const text=document.getElementById('text'),head=document.getElementById('head');
const legend=document.getElementById('legend');
let shown=-1;
const colour=i=>i<0?'#bbb':'hsl('+(i*137.508%360)+' 65% '+(38+i%3*9)+'%)';
function groups(){return D.groups[choice.value]}
function draw(){pen.clearRect(0,0,canvas.width,canvas.height);const of=groups().of;
for(let i=0;i<D.x.length;i++){pen.fillStyle=colour(of[i]);pen.beginPath();pen.arc(D.x[i],D.y[i],i===shown?6:2.5,0,7);
pen.fill();if(i===shown){pen.strokeStyle='#000';pen.stroke()}}}
function key(){legend.replaceChildren();groups().names.forEach((name,i)=>{const line=document.createElement('div');
const box=document.createElement('span');box.className='key';box.style.background=colour(i);line.append(box,name);
legend.append(line)})}
canvas.addEventListener('pointermove',e=>{const r=canvas.getBoundingClientRect();
const px=(e.clientX-r.left)*canvas.width/r.width,py=(e.clientY-r.top)*canvas.height/r.height;let best=-1,near=400;
for(let i=0;i<D.x.length;i++){const a=D.x[i]-px,b=D.y[i]-py,d=a*a+b*b;if(d<near){near=d;best=i}}
if(best!==shown){shown=best;draw();if(best>=0){head.textContent=D.head[best];text.textContent=D.text[best]}}});
choice.addEventListener('change',()=>{key();draw()});key();draw();
"""

SIZE = 820
MARGIN = 12


def group(values: Sequence[str]) -> dict[str, Any]:
    """Numbers of a column's values, the most frequent first, and their names with counts."""
    names, numbers, counts = np.unique(np.array(values, dtype=np.str_), return_inverse=True, return_counts=True)
    order = np.lexsort((names, -counts))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return {
        "of": rank[numbers].tolist(),
        "names": [f"{names[i]} ({counts[i]:,})" for i in order.tolist()],
    }


def scaled(positions: NDArray[np.float32]) -> NDArray[np.float64]:
    """Coordinates in pixels of the canvas, one tenth exact."""
    low, high = positions.min(axis=0, initial=np.inf), positions.max(axis=0, initial=-np.inf)
    span = np.where(high > low, high - low, 1.0)
    pixels: NDArray[np.float64] = MARGIN + (positions - low).astype(np.float64) / span * (SIZE - 2 * MARGIN)
    return np.round(pixels, 1)


def write_map(
    path: Path, title: str, note: str, positions: NDArray[np.float32], columns: dict[str, list[str]], texts: list[str]
) -> None:
    """Write the page. columns: what can be coloured by, also shown for the document under the pointer."""
    pixels = scaled(positions)
    heads = [" · ".join(row) for row in zip(*columns.values(), strict=True)]
    data = {
        "x": pixels[:, 0].tolist(),
        "y": pixels[:, 1].tolist(),
        "text": texts,
        "head": heads,
        "groups": {name: group(values) for name, values in columns.items()},
    }
    options = "".join(f'<option value="{escaped(name)}">{escaped(name)}</option>' for name in columns)
    body = (
        f'<p>{escaped(note)}</p><div id="all"><canvas id="map" width="{SIZE}" height="{SIZE}"></canvas><div id="side">'
        f'<label>Colour by <select id="by">{options}</select></label><div id="legend"></div>'
        '<p id="head" class="note">Move over a point.</p><div id="text"></div></div></div>'
    )
    write_page(path, title, body, style=_STYLE, script=f"const D={embedded(data)};{_SCRIPT}")
