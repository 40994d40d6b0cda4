(function(){var h=location.hash;if(h.length>1)document.querySelectorAll('.pick a').forEach(function(a){a.hash=h})})()
